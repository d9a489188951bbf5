import io.camunda.zeebe.gateway.protocol.GatewayOuterClass.DeleteResourceRequest;
import io.camunda.zeebe.gateway.protocol.GatewayOuterClass.DeleteResourceResponse;
import io.camunda.zeebe.protocol.record.Record;
import io.camunda.zeebe.protocol.record.intent.ResourceDeletionIntent;
import io.camunda.zeebe.protocol.record.value.ResourceDeletionRecordValue;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Answers to DeleteResource: the engine's own gateway carries it out and says nothing. */
final class Deletions {

  private final Map<Long, ServerCall<?, ?>> asked = new ConcurrentHashMap<>();

  <Q, A> ServerCall.Listener<Q> take(
      final ServerCall<Q, A> call, final Metadata headers, final ServerCallHandler<Q, A> next) {
    return new SimpleForwardingServerCallListener<>(next.startCall(call, headers)) {
      @Override
      public void onMessage(final Q message) {
        asked.put(((DeleteResourceRequest) message).getResourceKey(), call);
        super.onMessage(message);
      }
    };
  }

  void onEvent(final Record<?> record) {
    if (record.getIntent() == ResourceDeletionIntent.DELETED
        && record.getValue() instanceof final ResourceDeletionRecordValue deleted) {
      answer(asked.remove(deleted.getResourceKey()));
    }
  }

  @SuppressWarnings("unchecked")
  private static void answer(final ServerCall<?, ?> call) {
    if (call == null) {
      return;
    }
    try {
      call.sendHeaders(new Metadata());
      ((ServerCall<?, DeleteResourceResponse>) call)
          .sendMessage(DeleteResourceResponse.getDefaultInstance());
      call.close(Status.OK, new Metadata());
    } catch (final IllegalStateException alreadyAnswered) {
      // By a gateway that has learnt it, or the caller has gone.
    }
  }
}
