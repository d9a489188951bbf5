import io.camunda.zeebe.gateway.protocol.GatewayOuterClass.ActivateJobsRequest;
import io.camunda.zeebe.gateway.protocol.GatewayOuterClass.ActivateJobsResponse;
import io.camunda.zeebe.protocol.record.Record;
import io.camunda.zeebe.protocol.record.intent.IncidentIntent;
import io.camunda.zeebe.protocol.record.intent.JobIntent;
import io.camunda.zeebe.protocol.record.value.JobRecordValue;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Polls that wait for a job: asked again inside when one may be there, answered when it is. */
final class LongPolls {

  private static final long USUAL_MILLIS = 10_000;
  private static final Set<JobIntent> OFFERED =
      Set.of(
          JobIntent.CREATED,
          JobIntent.FAILED,
          JobIntent.TIMED_OUT,
          JobIntent.YIELDED,
          JobIntent.RECURRED_AFTER_BACKOFF,
          JobIntent.RETRIES_UPDATED);

  private final ScheduledExecutorService timer;
  private final Set<Poll<?, ?>> waiting = ConcurrentHashMap.newKeySet();
  private final Map<String, Long> offers = new ConcurrentHashMap<>();

  LongPolls(final ScheduledExecutorService timer) {
    this.timer = timer;
  }

  <Q, A> ServerCall.Listener<Q> take(
      final ServerCall<Q, A> call, final Metadata headers, final ServerCallHandler<Q, A> next) {
    call.request(2);
    return new Poll<>(call, headers, next);
  }

  /** A job may be there to be had now. */
  void onEvent(final Record<?> record) {
    if (record.getIntent() instanceof final JobIntent intent && OFFERED.contains(intent)) {
      offer(((JobRecordValue) record.getValue()).getType());
    } else if (record.getIntent() == IncidentIntent.RESOLVED) {
      waiting.stream().map(poll -> poll.type).distinct().forEach(this::offer);
    }
  }

  private void offer(final String type) {
    offers.merge(type, 1L, Long::sum);
    waiting.stream().filter(poll -> type.equals(poll.type)).forEach(Poll::wake);
  }

  /** One call of a client, and the rounds in which the engine is asked for it. */
  private final class Poll<Q, A> extends ServerCall.Listener<Q> {

    private final ServerCall<Q, A> call;
    private final Metadata headers;
    private final ServerCallHandler<Q, A> next;
    private Q asked;
    private volatile String type;
    private volatile boolean over;
    private long offersSeen;
    private long until;

    Poll(final ServerCall<Q, A> call, final Metadata headers, final ServerCallHandler<Q, A> next) {
      this.call = call;
      this.headers = headers;
      this.next = next;
    }

    @Override
    public void onMessage(final Q message) {
      final var request = (ActivateJobsRequest) message;
      final long millis = request.getRequestTimeout() == 0 ? USUAL_MILLIS : request.getRequestTimeout();
      asked = message;
      type = request.getType();
      until = System.nanoTime() + millis * 1_000_000;
      if (millis > 0) {
        timer.schedule(this::wake, millis + 1, TimeUnit.MILLISECONDS);
      }
    }

    @Override
    public void onHalfClose() {
      askEngine();
    }

    @Override
    public void onCancel() {
      over = true;
      waiting.remove(this);
    }

    void wake() {
      if (waiting.remove(this)) {
        askEngine();
      }
    }

    private void askEngine() {
      offersSeen = offers.getOrDefault(type, 0L);
      final var listener = next.startCall(new Round(), headers);
      listener.onMessage(asked);
      listener.onHalfClose();
    }

    private void onNothing() {
      if (over) {
        return;
      }
      if (System.nanoTime() >= until) {
        end(Status.OK, new Metadata());
        return;
      }
      waiting.add(this);
      // One offered since the engine was asked would otherwise be missed.
      if (offers.getOrDefault(type, 0L) != offersSeen) {
        timer.execute(this::wake);
      }
    }

    private void end(final Status status, final Metadata trailers) {
      over = true;
      try {
        call.close(status, trailers);
      } catch (final IllegalStateException gone) {
        // The client has cancelled.
      }
    }

    /** What the engine's gateway believes to be the client's call. */
    private final class Round extends SimpleForwardingServerCall<Q, A> {

      private boolean gotJobs;

      Round() {
        super(call);
      }

      @Override
      public void request(final int messages) {
        // The one message is here already.
      }

      @Override
      public void sendHeaders(final Metadata sent) {
        // Only if there are jobs.
      }

      @Override
      public void sendMessage(final A message) {
        if (((ActivateJobsResponse) message).getJobsCount() > 0) {
          gotJobs = true;
          call.sendHeaders(new Metadata());
          call.sendMessage(message);
        }
      }

      @Override
      public void close(final Status status, final Metadata trailers) {
        if (gotJobs || !status.isOk()) {
          end(status, trailers);
        } else {
          onNothing();
        }
      }
    }
  }
}
