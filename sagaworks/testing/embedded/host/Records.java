import io.camunda.zeebe.logstreams.log.LogRecordAwaiter;
import io.camunda.zeebe.logstreams.log.LogStream;
import io.camunda.zeebe.process.test.api.RecordStreamSource;
import io.camunda.zeebe.process.test.api.ZeebeTestEngine;
import io.camunda.zeebe.protocol.record.Record;
import io.camunda.zeebe.protocol.record.RecordType;
import io.camunda.zeebe.protocol.record.ValueType;
import io.camunda.zeebe.protocol.record.value.JobBatchRecordValue;
import io.camunda.zeebe.stream.impl.StreamProcessor;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/** An engine's records, followed from the first one on. */
final class Records {

  private static final long LONGEST_SLEEP_MILLIS = 20;

  private final RecordStreamSource source;
  private final LogStream log;
  private final StreamProcessor processor;
  private final Semaphore written = new Semaphore(1);
  private final Set<Long> unanswered = new HashSet<>();
  private volatile boolean leaving;
  private volatile long passes;
  private long lastChange = System.nanoTime();
  private Thread follower;

  private Records(
      final RecordStreamSource source, final LogStream log, final StreamProcessor processor) {
    this.source = source;
    this.log = log;
    this.processor = processor;
  }

  static Records of(final ZeebeTestEngine engine) throws ReflectiveOperationException {
    return new Records(
        engine.getRecordStreamSource(),
        Inside.of(engine, "logStream"),
        Inside.of(engine, "streamProcessor"));
  }

  /** Give every event to `told`, and to `gateway` as well, in order. */
  void follow(final Consumer<Record<?>> told, final Consumer<Record<?>> gateway) {
    final LogRecordAwaiter wake = written::release;
    log.registerRecordAvailableListener(wake);
    follower = new Thread(() -> run(told, gateway), "records");
    follower.setDaemon(true);
    follower.start();
  }

  void leave() throws InterruptedException {
    leaving = true;
    written.release();
    follower.join();
  }

  private void run(final Consumer<Record<?>> told, final Consumer<Record<?>> gateway) {
    int seen = 0;
    while (!leaving) {
      final var all = (java.util.List<Record<?>>) source.getRecords();
      for (; seen < all.size() && !leaving; seen++) {
        final var record = all.get(seen);
        note(record);
        if (record.getRecordType() == RecordType.EVENT && !isEmptyPoll(record)) {
          told.accept(record);
          gateway.accept(record);
        }
      }
      passes++; // by this thread only
      sleep();
    }
  }

  private void sleep() {
    try {
      if (written.tryAcquire(LONGEST_SLEEP_MILLIS, TimeUnit.MILLISECONDS)) {
        written.drainPermits();
      }
    } catch (final InterruptedException error) {
      leaving = true;
    }
  }

  /** Commands from outside are remembered until a record follows from them. */
  private synchronized void note(final Record<?> record) {
    if (record.getValueType() == ValueType.JOB_BATCH) {
      return;
    }
    lastChange = System.nanoTime();
    if (record.getRecordType() != RecordType.COMMAND) {
      unanswered.remove(record.getSourceRecordPosition());
    } else if (record.getSourceRecordPosition() < 0) {
      unanswered.add(record.getPosition());
    }
  }

  /** Wait until each command is answered and nothing but polls was written for a while. */
  void settle(final long quietMillis, final long limitMillis) throws Exception {
    final long end = System.nanoTime() + limitMillis * 1_000_000;
    while (!(hasNothingToDo() && hasToldAll(end) && isQuiet(quietMillis))) {
      if (System.nanoTime() > end) {
        throw new TimeoutException("the engine is busy after " + limitMillis + " ms");
      }
      Thread.sleep(2);
    }
  }

  private boolean hasNothingToDo() {
    return processor.hasProcessingReachedTheEnd().join();
  }

  /** A record written just now may not be read yet: one whole pass has to begin after this. */
  private boolean hasToldAll(final long end) throws InterruptedException {
    final long before = passes;
    while (passes < before + 2 && System.nanoTime() < end) {
      written.release();
      Thread.sleep(1);
    }
    return passes >= before + 2;
  }

  private synchronized boolean isQuiet(final long quietMillis) {
    final long quiet = (System.nanoTime() - lastChange) / 1_000_000;
    return unanswered.isEmpty() && quiet >= quietMillis;
  }

  private static boolean isEmptyPoll(final Record<?> record) {
    return record.getValue() instanceof final JobBatchRecordValue batch
        && batch.getJobKeys().isEmpty();
  }
}
