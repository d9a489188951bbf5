import io.camunda.zeebe.gateway.protocol.GatewayOuterClass.CreateProcessInstanceWithResultRequest;
import io.camunda.zeebe.gateway.protocol.GatewayOuterClass.StreamActivatedJobsRequest;
import io.camunda.zeebe.process.test.api.ZeebeTestEngine;
import io.camunda.zeebe.process.test.engine.EngineFactory;
import io.camunda.zeebe.protocol.record.Record;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The engine's gateway as a real cluster's behaves: on loopback only, with long polls, the default
 * tenant where none is named, an answer to each call.
 */
final class Gateway implements ServerInterceptor {

  private static final int TRIES = 20;
  private static final long USUAL_TIMEOUT_MILLIS = 10_000;
  private static final ScheduledExecutorService TIMER =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            final var thread = new Thread(work, "timeouts");
            thread.setDaemon(true);
            return thread;
          });

  private final Consumer<String> onStream;
  private final LongPolls polls = new LongPolls(TIMER);
  private final Deletions deletions = new Deletions();
  private final ZeebeTestEngine engine;
  private final int port;

  private Gateway(final int port, final Consumer<String> onStream) {
    this.port = port;
    this.onStream = onStream;
    engine = EngineFactory.create(port);
  }

  /**
   * Start an engine on a free port; another process may take it meanwhile: then on another.
   *
   * @param onStream told the job type of each stream, once jobs are pushed on it.
   */
  static Gateway open(final Consumer<String> onStream) throws Exception {
    for (int attempt = 1; ; attempt++) {
      final var gateway = new Gateway(freePort(), onStream);
      try {
        gateway.start();
        return gateway;
      } catch (final RuntimeException error) {
        if (attempt == TRIES || !(error.getCause() instanceof IOException)) {
          throw error;
        }
      }
    }
  }

  ZeebeTestEngine engine() {
    return engine;
  }

  String address() {
    return "127.0.0.1:" + port;
  }

  void onEvent(final Record<?> record) {
    polls.onEvent(record);
    deletions.onEvent(record);
  }

  private static int freePort() throws IOException {
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private void start() throws ReflectiveOperationException {
    final Server shipped = Inside.of(engine, "grpcServer");
    final var place = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    final var server = NettyServerBuilder.forAddress(place);
    for (final var service : shipped.getServices()) {
      server.addService(ServerInterceptors.intercept(service, this));
    }
    Inside.replace(engine, "grpcServer", server.build());
    shipped.shutdownNow(); // gRPC's own register would keep it, and all of the engine with it
    engine.start();
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      final ServerCall<Q, A> call, final Metadata headers, final ServerCallHandler<Q, A> next) {
    return switch (call.getMethodDescriptor().getBareMethodName()) {
      case "ActivateJobs" -> polls.take(call, headers, next);
      case "StreamActivatedJobs" -> withTenant(next.startCall(call, headers));
      case "DeleteResource" -> deletions.take(call, headers, next);
      case "CreateProcessInstanceWithResult" -> withTimeout(call, next.startCall(call, headers));
      default -> next.startCall(call, headers);
    };
  }

  /** The engine's own pushes nothing on a stream that names no tenant. */
  private <Q> ServerCall.Listener<Q> withTenant(final ServerCall.Listener<Q> listener) {
    return new SimpleForwardingServerCallListener<>(listener) {
      private String type;

      @Override
      public void onHalfClose() {
        super.onHalfClose();
        onStream.accept(type);
      }

      @Override
      @SuppressWarnings("unchecked")
      public void onMessage(final Q message) {
        final var asked = (StreamActivatedJobsRequest) message;
        type = asked.getType();
        final var none = asked.getTenantIdsCount() == 0;
        super.onMessage(
            none ? (Q) asked.toBuilder().addTenantIds("<default>").build() : message);
      }
    };
  }

  /** The engine's own waits for ever for a result. */
  private static <Q> ServerCall.Listener<Q> withTimeout(
      final ServerCall<Q, ?> call, final ServerCall.Listener<Q> listener) {
    return new SimpleForwardingServerCallListener<>(listener) {
      @Override
      public void onMessage(final Q message) {
        final long asked = ((CreateProcessInstanceWithResultRequest) message).getRequestTimeout();
        final long millis = asked > 0 ? asked : USUAL_TIMEOUT_MILLIS;
        final var late = Status.DEADLINE_EXCEEDED.withDescription("no result after " + millis + " ms");
        TIMER.schedule(() -> end(call, late), millis, TimeUnit.MILLISECONDS);
        super.onMessage(message);
      }
    };
  }

  private static void end(final ServerCall<?, ?> call, final Status status) {
    try {
      call.close(status, new Metadata());
    } catch (final IllegalStateException alreadyAnswered) {
      // It came in time.
    }
  }
}
