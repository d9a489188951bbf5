import io.camunda.zeebe.process.test.api.ZeebeTestEngine;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * The real engine in a process of its own, for tests; told what to do by lines on standard input.
 *
 * <p>Each command is answered by one line, {@code OK ...} or {@code ERR ...}. Between the answers
 * come {@code L} where a new engine begins, {@code R <json>} for each of its records as soon as it
 * is written, and {@code S <job type>} for each stream that has been opened. The end of the input ends the process, however its parent ended.
 */
public final class EngineHost {

  private final PrintStream out;
  private ZeebeTestEngine engine;
  private Records records;

  private EngineHost(final PrintStream out) {
    this.out = out;
  }

  public static void main(final String[] arguments) throws IOException {
    final var channel = new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16);
    final var out = new PrintStream(channel, false, StandardCharsets.UTF_8);
    System.setOut(System.err); // nothing else may write on the protocol's channel
    final var input = new InputStreamReader(System.in, StandardCharsets.UTF_8);
    new EngineHost(out).serve(new BufferedReader(input));
    Runtime.getRuntime().halt(0); // the engine leaves a timer thread behind that never ends
  }

  private void serve(final BufferedReader commands) throws IOException {
    String line;
    while ((line = commands.readLine()) != null) {
      say(answer(line.trim().split(" ")));
    }
  }

  private String answer(final String[] words) {
    try {
      return switch (words[0]) {
        case "start" -> "OK " + start();
        case "stop" -> "OK" + stop();
        case "advance" -> "OK" + advance(Long.parseLong(words[1]));
        case "settle" -> "OK" + settle(Long.parseLong(words[1]), Long.parseLong(words[2]));
        default -> "ERR no such command: " + words[0];
      };
    } catch (final Exception error) {
      final var said = String.valueOf(error.getMessage()).replace('\n', ' ');
      return "ERR " + error.getClass().getSimpleName() + ": " + said;
    }
  }

  private String start() throws Exception {
    stop();
    say("L");
    final var gateway = Gateway.open(type -> say("S " + type));
    engine = gateway.engine();
    records = Records.of(engine);
    records.follow(record -> say("R " + record.toJson()), gateway::onEvent);
    return gateway.address();
  }

  private String stop() throws InterruptedException {
    if (engine != null) {
      records.leave();
      engine.stop();
      engine = null;
    }
    return "";
  }

  private String advance(final long millis) {
    engine.increaseTime(Duration.ofMillis(millis));
    return "";
  }

  private String settle(final long quietMillis, final long limitMillis) throws Exception {
    records.settle(quietMillis, limitMillis);
    return "";
  }

  private void say(final String line) {
    synchronized (out) {
      out.print(line);
      out.print('\n');
      out.flush();
    }
  }
}
