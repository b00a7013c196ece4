// SPDX-License-Identifier: Apache-2.0
// The Java SDK in the cases of ../throughline.c.  build: mvn -q package      run: java -Xmx2g -cp 'target/classes:target/lib/*' Bench CASE THREADS OPS RUNS [QUEUE]
// CASE: a a0 b c d e1 e2 f1 f2 fN g | h hp          (5 warm-up rounds, not printed)
// prints: sdk case threads run wall_ns_per_op cpu_ns_per_op dropped_frac - bytes_per_op
import io.opentelemetry.api.common.*;
import io.opentelemetry.api.logs.*;
import io.opentelemetry.api.metrics.*;
import io.opentelemetry.api.trace.*;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.*;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.logs.*;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.logs.export.*;
import io.opentelemetry.sdk.metrics.*;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.export.*;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.*;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.*;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import java.lang.management.ManagementFactory;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

public class Bench {
  static final AtomicLong got = new AtomicLong(), made = new AtomicLong();
  static volatile Object sink;
  static final AttributeKey<Long> STATUS = AttributeKey.longKey("http.response.status_code"), PORT = AttributeKey.longKey("server.port"),
      ATTEMPT = AttributeKey.longKey("attempt"), USER = AttributeKey.longKey("user.id");
  static final AttributeKey<String> METHOD = AttributeKey.stringKey("http.request.method"), PATH = AttributeKey.stringKey("url.path"),
      ADDR = AttributeKey.stringKey("server.address"), ROUTE = AttributeKey.stringKey("http.route"), CLIENT = AttributeKey.stringKey("client.address"),
      SESSION = AttributeKey.stringKey("session.id");

  static class Noop implements SpanExporter {
    public CompletableResultCode export(Collection<SpanData> s) { got.addAndGet(s.size()); return CompletableResultCode.ofSuccess(); }
    public CompletableResultCode flush() { return CompletableResultCode.ofSuccess(); }
    public CompletableResultCode shutdown() { return CompletableResultCode.ofSuccess(); }
  }
  static class Counting implements SpanExporter {
    final SpanExporter in;
    Counting(SpanExporter e) { in = e; }
    public CompletableResultCode export(Collection<SpanData> s) {
      int n = s.size();
      CompletableResultCode r = in.export(s);
      r.whenComplete(() -> got.addAndGet(n));
      return r;
    }
    public CompletableResultCode flush() { return in.flush(); }
    public CompletableResultCode shutdown() { return in.shutdown(); }
  }
  static class NoopLog implements LogRecordExporter {
    public CompletableResultCode export(Collection<LogRecordData> s) { got.addAndGet(s.size()); return CompletableResultCode.ofSuccess(); }
    public CompletableResultCode flush() { return CompletableResultCode.ofSuccess(); }
    public CompletableResultCode shutdown() { return CompletableResultCode.ofSuccess(); }
  }
  static class NoopMetric implements MetricExporter {
    public CompletableResultCode export(Collection<MetricData> m) { return CompletableResultCode.ofSuccess(); }
    public CompletableResultCode flush() { return CompletableResultCode.ofSuccess(); }
    public CompletableResultCode shutdown() { return CompletableResultCode.ofSuccess(); }
    public AggregationTemporality getAggregationTemporality(InstrumentType t) { return AggregationTemporality.CUMULATIVE; }
  }
  static void attrs(Span s) {
    s.setAttribute(STATUS, 200L);
    s.setAttribute(PORT, 8080L);
    s.setAttribute(METHOD, "GET");
    s.setAttribute(PATH, "/api/users/42");
    s.setAttribute(ADDR, "backend.example.com");
  }
  static double cpu() { return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime(); }
  static long alloc() { return ((com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean()).getThreadAllocatedBytes(Thread.currentThread().getId()); }
  static double rss() throws Exception {
    for (String l : Files.readAllLines(Path.of("/proc/self/status"))) if (l.startsWith("VmHWM")) return Long.parseLong(l.replaceAll("\\D", "")) / 1024.0;
    return 0;
  }

  public static void main(String[] a) throws Exception {
    String cs = a[0];
    int T = Integer.parseInt(a[1]);
    long N = Long.parseLong(a[2]);
    int R = Integer.parseInt(a[3]);
    int q0 = a.length > 4 ? Integer.parseInt(a[4]) : 0; // 0: queue 2048, bursts of 500 that never overflow it, only the bursts timed
    int queue = q0 == 0 ? 2048 : q0;
    boolean e2e = cs.startsWith("h");
    String url = System.getenv().getOrDefault("SINK", "http://127.0.0.1:4318/v1/traces");
    Resource res = Resource.create(Attributes.of(AttributeKey.stringKey("service.name"), "bench"));
    SpanExporter ex = e2e ? new Counting(OtlpHttpSpanExporter.builder().setEndpoint(url).build()) : new Noop();
    var bsp = BatchSpanProcessor.builder(ex).setMaxQueueSize(queue);
    if (System.getenv("BATCH") != null) bsp.setMaxExportBatchSize(Integer.parseInt(System.getenv("BATCH")));
    SdkTracerProvider tp = SdkTracerProvider.builder().setResource(res).setSampler(cs.equals("b") ? Sampler.alwaysOff() : Sampler.alwaysOn())
        .addSpanProcessor(bsp.build()).build();
    Tracer tr = tp.get("bench");
    SdkMeterProvider mp = SdkMeterProvider.builder().setResource(res).registerMetricReader(PeriodicMetricReader.create(new NoopMetric())).build();
    Meter m = mp.get("bench");
    LongCounter counter = m.counterBuilder("requests").build();
    DoubleHistogram histo = m.histogramBuilder("latency").build();
    SdkLoggerProvider lp = SdkLoggerProvider.builder().setResource(res).addLogRecordProcessor(BatchLogRecordProcessor.builder(new NoopLog()).setMaxQueueSize(queue).build()).build();
    Logger lg = lp.get("bench");
    Context root = Context.root();
    Context pctx = root.with(tr.spanBuilder("parent").setParent(root).startSpan());
    TextMapPropagator prop = W3CTraceContextPropagator.getInstance();
    TextMapSetter<Map<String, String>> set = Map::put;
    TextMapGetter<Map<String, String>> get = new TextMapGetter<>() {
      public Iterable<String> keys(Map<String, String> c) { return c.keySet(); }
      public String get(Map<String, String> c, String k) { return c.get(k); }
    };
    boolean spans = Set.of("a", "a0", "c", "d", "h", "hp").contains(cs), logs = cs.equals("g");
    LongConsumer body = switch (cs) {
      case "a", "b", "h" -> n -> { for (long i = 0; i < n; i++) { Span s = tr.spanBuilder("GET /api/users").setParent(root).startSpan(); attrs(s); s.end(); } };
      case "hp" -> n -> {
        for (long i = 0; i < n; i++) {
          if ((i & 63) == 0) while (made.get() > got.get() + queue * 3L / 4) { try { Thread.sleep(0, 50000); } catch (InterruptedException e) { } }
          Span s = tr.spanBuilder("GET /api/users").setParent(root).startSpan(); attrs(s); s.end();
          if ((i & 63) == 63) made.addAndGet(64);
        }
      };
      case "a0" -> n -> { for (long i = 0; i < n; i++) tr.spanBuilder("GET /api/users").setParent(root).startSpan().end(); };
      case "c" -> n -> { for (long i = 0; i < n; i++) { Span s = tr.spanBuilder("GET /api/users").setParent(pctx).startSpan(); attrs(s); s.end(); } };
      case "d" -> n -> { for (long i = 0; i < n; i++) { Span s = tr.spanBuilder("GET /api/users").setParent(root).startSpan(); attrs(s);
          s.addEvent("retry", Attributes.of(ATTEMPT, 1L)); s.setStatus(StatusCode.ERROR, "upstream timed out"); s.end(); } };
      case "e1" -> n -> { Map<String, String> c = new HashMap<>(); for (long i = 0; i < n; i++) prop.inject(pctx, c, set); };
      case "e2" -> n -> { Map<String, String> c = new HashMap<>(); prop.inject(pctx, c, set); for (long i = 0; i < n; i++) sink = prop.extract(root, c, get); };
      case "f1" -> n -> { for (long i = 0; i < n; i++) counter.add(1, Attributes.of(METHOD, "GET", ROUTE, "/api/users/:id", STATUS, 200L), root); };
      case "fN" -> n -> { for (long i = 0; i < n; i++) counter.add(1, Attributes.of(METHOD, "GET", ROUTE, "/api/users/:id", STATUS, 200 + i % 100), root); };
      case "f2" -> n -> { for (long i = 0; i < n; i++) histo.record(i & 1023, Attributes.of(METHOD, "GET", ROUTE, "/api/users/:id", STATUS, 200L), root); };
      case "g" -> n -> { for (long i = 0; i < n; i++) lg.logRecordBuilder().setContext(root).setTimestamp(System.currentTimeMillis(), TimeUnit.MILLISECONDS).setSeverity(Severity.INFO)
          .setBody("user logged in").setAttribute(USER, 42L).setAttribute(CLIENT, "10.1.2.3").setAttribute(SESSION, "f00dfeedbeef").emit(); };
      default -> throw new IllegalArgumentException(cs);
    };
    boolean burst = q0 == 0 && (spans || logs) && !e2e;
    AtomicLong in = new AtomicLong();
    LongConsumer paced = n -> {
      if (!burst) { long w = System.nanoTime(); body.accept(n); in.addAndGet(System.nanoTime() - w); return; }
      long t = 0;
      for (long i = 0; i < n; i += 500) {
        while (made.get() > got.get() + 511) { try { Thread.sleep(0, 20000); } catch (InterruptedException e) { } }
        long k = Math.min(500, n - i), w = System.nanoTime();
        body.accept(k);
        t += System.nanoTime() - w;
        made.addAndGet(k);
      }
      in.addAndGet(t);
    };
    for (int run = e2e ? 0 : -5; run < R; run++) {
      long n = (run < 0 ? Math.max(N, 500000) : N) / T;
      got.set(0); made.set(0); in.set(0);
      System.gc();
      double c0 = cpu(); long w0 = System.nanoTime(), al0 = alloc();
      Thread[] th = new Thread[T];
      for (int t = 1; t < T; t++) { th[t] = new Thread(() -> paced.accept(n)); th[t].start(); }
      paced.accept(n);
      long al1 = alloc();
      for (int t = 1; t < T; t++) th[t].join();
      double prodNs = System.nanoTime() - w0;
      if (spans) { tp.forceFlush().join(300, TimeUnit.SECONDS); }
      if (logs) lp.forceFlush().join(300, TimeUnit.SECONDS);
      double total = System.nanoTime() - w0, c1 = cpu(), tot = (double) n * T, g = got.get();
      if (run < 0) continue;
      if (e2e) System.out.printf(Locale.ROOT, "java\t%s\t%d\t%d\tqueue=%d\tdelivered=%.0f\tdropped=%.0f\tproduce_s=%.3f\ttotal_s=%.3f\tdelivered_per_s=%.0f\tcpu_s_per_M_delivered=%.3f\tcpu_s_per_M_made=%.3f\tpeak_rss_MiB=%.1f%n",
          cs, T, run, queue, g, tot - g, prodNs / 1e9, total / 1e9, g / (total / 1e9), (c1 - c0) / 1e9 / (g / 1e6), (c1 - c0) / 1e9 / (tot / 1e6), rss());
      else System.out.printf(Locale.ROOT, "java\t%s\t%d\t%d\t%.1f\t%.1f\t%.4f\t-\t%.1f%n", cs, T, run, in.get() / tot, (c1 - c0) / tot, spans || logs ? 1 - g / tot : 0, (al1 - al0) / (double) n);
    }
    System.exit(0);
  }
}
