// SPDX-License-Identifier: Apache-2.0
// The Rust SDK in the cases of ../throughline.c.  build: cargo build --release      run: target/release/bench_rs CASE THREADS OPS RUNS [QUEUE]
// CASE: a a0 b c d e1 e2 f1 f2 fN g | h hp
// prints: sdk case threads run wall_ns_per_op cpu_ns_per_op dropped_frac allocs_per_op bytes_per_op
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, Status, TraceContextExt, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogBatch, LogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use opentelemetry_sdk::Resource;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

static GOT: AtomicU64 = AtomicU64::new(0);
static MADE: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Noop;
impl SpanExporter for Noop {
    async fn export(&self, b: Vec<SpanData>) -> OTelSdkResult {
        GOT.fetch_add(b.len() as u64, Relaxed);
        Ok(())
    }
}
#[derive(Debug)]
struct Counting(opentelemetry_otlp::SpanExporter);
impl SpanExporter for Counting {
    async fn export(&self, b: Vec<SpanData>) -> OTelSdkResult {
        let n = b.len() as u64;
        let r = self.0.export(b).await;
        GOT.fetch_add(n, Relaxed);
        r
    }
    fn set_resource(&mut self, r: &Resource) {
        self.0.set_resource(r)
    }
}
#[derive(Debug)]
struct NoopLog;
impl LogExporter for NoopLog {
    async fn export(&self, b: LogBatch<'_>) -> OTelSdkResult {
        GOT.fetch_add(b.iter().count() as u64, Relaxed);
        Ok(())
    }
}
struct NoopMetric;
impl PushMetricExporter for NoopMetric {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn cpu() -> f64 {
    unsafe {
        let mut t: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t);
        t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
    }
}
fn rss_mib() -> f64 {
    unsafe {
        let mut r: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut r);
        r.ru_maxrss as f64 / 1024.0
    }
}
fn mallocs() -> [u64; 4] {
    unsafe {
        let mut o = [0u64; 4];
        let p = libc::dlsym(libc::RTLD_DEFAULT, c"mcount_get".as_ptr());
        if !p.is_null() {
            let f: extern "C" fn(*mut u64) = std::mem::transmute(p);
            f(o.as_mut_ptr());
        }
        o
    }
}
fn attrs<S: opentelemetry::trace::Span>(s: &mut S) {
    s.set_attribute(KeyValue::new("http.response.status_code", 200i64));
    s.set_attribute(KeyValue::new("server.port", 8080i64));
    s.set_attribute(KeyValue::new("http.request.method", "GET"));
    s.set_attribute(KeyValue::new("url.path", "/api/users/42"));
    s.set_attribute(KeyValue::new("server.address", "backend.example.com"));
}

fn main() {
    let av: Vec<String> = std::env::args().collect();
    if av.len() < 5 {
        eprintln!("usage: CASE THREADS OPS RUNS [QUEUE]");
        std::process::exit(2);
    }
    let cs = av[1].as_str();
    let t: usize = av[2].parse().unwrap();
    let nn: usize = av[3].parse().unwrap();
    let r: i32 = av[4].parse().unwrap();
    let queue: usize = av.get(5).map(|s| s.parse().unwrap()).unwrap_or(0);
    let mut burst = queue == 0; // queue 2048, bursts of 500 that never overflow it, only the bursts timed
    let queue = if burst { 2048 } else { queue };
    let e2e = cs.starts_with('h');
    let res = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "bench")).build();
    let mut bc = BatchConfigBuilder::default().with_max_queue_size(queue);
    if let Ok(b) = std::env::var("BATCH") {
        bc = bc.with_max_export_batch_size(b.parse().unwrap());
    }
    let bc = bc.build();
    let proc = if e2e {
        let url = std::env::var("SINK").unwrap_or("http://127.0.0.1:4318/v1/traces".into());
        let ex = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(url).build().unwrap();
        BatchSpanProcessor::builder(Counting(ex)).with_batch_config(bc).build()
    } else {
        BatchSpanProcessor::builder(Noop).with_batch_config(bc).build()
    };
    let tp = SdkTracerProvider::builder()
        .with_resource(res.clone())
        .with_sampler(if cs == "b" { Sampler::AlwaysOff } else { Sampler::AlwaysOn })
        .with_span_processor(proc)
        .build();
    let tracer = tp.tracer("bench");
    let mp = SdkMeterProvider::builder().with_resource(res.clone()).with_reader(PeriodicReader::builder(NoopMetric).build()).build();
    let meter = mp.meter("bench");
    let counter = meter.u64_counter("requests").build();
    let histo = meter.f64_histogram("latency").build();
    let lp = SdkLoggerProvider::builder()
        .with_resource(res)
        .with_log_processor(
            BatchLogProcessor::builder(NoopLog)
                .with_batch_config(opentelemetry_sdk::logs::BatchConfigBuilder::default().with_max_queue_size(queue).build())
                .build(),
        )
        .build();
    let logger = lp.logger("bench");
    let root = Context::new();
    let parent = tracer.start_with_context("parent", &root);
    let sc = parent.span_context().clone();
    let pctx = if cs.starts_with('e') { root.with_remote_span_context(sc) } else { root.with_span(parent) };
    let prop = TraceContextPropagator::new();

    let spans = matches!(cs, "a" | "ad" | "a0" | "c" | "d" | "h" | "hp");
    let logs = cs == "g";
    let body = |n: usize| match cs {
        "a" | "b" | "h" => {
            for _ in 0..n {
                let mut s = tracer.start_with_context("GET /api/users", &root);
                attrs(&mut s);
                s.end();
            }
        }
        "hp" => {
            for i in 0..n {
                if i & 63 == 0 {
                    while MADE.load(Relaxed) > GOT.load(Relaxed) + queue as u64 * 3 / 4 {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                }
                let mut s = tracer.start_with_context("GET /api/users", &root);
                attrs(&mut s);
                s.end();
                if i & 63 == 63 {
                    MADE.fetch_add(64, Relaxed);
                }
            }
        }
        "ad" => {
            let (m, p, a) = (std::hint::black_box(b"GET"), std::hint::black_box(b"/api/users/42"), std::hint::black_box(b"backend.example.com"));
            for _ in 0..n {
                let mut s = tracer.start_with_context("GET /api/users", &root);
                s.set_attribute(KeyValue::new("http.response.status_code", 200i64));
                s.set_attribute(KeyValue::new("server.port", 8080i64));
                s.set_attribute(KeyValue::new("http.request.method", String::from_utf8_lossy(m).into_owned()));
                s.set_attribute(KeyValue::new("url.path", String::from_utf8_lossy(p).into_owned()));
                s.set_attribute(KeyValue::new("server.address", String::from_utf8_lossy(a).into_owned()));
                s.end();
            }
        }
        "a0" => {
            for _ in 0..n {
                let mut s = tracer.start_with_context("GET /api/users", &root);
                s.end();
            }
        }
        "c" => {
            for _ in 0..n {
                let mut s = tracer.start_with_context("GET /api/users", &pctx);
                attrs(&mut s);
                s.end();
            }
        }
        "d" => {
            for _ in 0..n {
                let mut s = tracer.start_with_context("GET /api/users", &root);
                attrs(&mut s);
                s.add_event("retry", vec![KeyValue::new("attempt", 1i64)]);
                s.set_status(Status::error("upstream timed out"));
                s.end();
            }
        }
        "e1" => {
            let mut c: HashMap<String, String> = HashMap::new();
            for _ in 0..n {
                prop.inject_context(&pctx, &mut c);
            }
        }
        "e2" => {
            let mut c: HashMap<String, String> = HashMap::new();
            prop.inject_context(&pctx, &mut c);
            for _ in 0..n {
                std::hint::black_box(prop.extract_with_context(&root, &c));
            }
        }
        "f1" => {
            for _ in 0..n {
                counter.add(1, &[KeyValue::new("http.request.method", "GET"), KeyValue::new("http.route", "/api/users/:id"), KeyValue::new("http.response.status_code", 200i64)]);
            }
        }
        "fN" => {
            for i in 0..n {
                counter.add(1, &[KeyValue::new("http.request.method", "GET"), KeyValue::new("http.route", "/api/users/:id"), KeyValue::new("http.response.status_code", 200 + (i % 100) as i64)]);
            }
        }
        "f2" => {
            for i in 0..n {
                histo.record((i & 1023) as f64, &[KeyValue::new("http.request.method", "GET"), KeyValue::new("http.route", "/api/users/:id"), KeyValue::new("http.response.status_code", 200i64)]);
            }
        }
        "g" => {
            for _ in 0..n {
                let mut rec = logger.create_log_record();
                rec.set_timestamp(std::time::SystemTime::now());
                rec.set_severity_number(Severity::Info);
                rec.set_body(AnyValue::String("user logged in".into()));
                rec.add_attribute(Key::from_static_str("user.id"), 42i64);
                rec.add_attribute(Key::from_static_str("client.address"), "10.1.2.3");
                rec.add_attribute(Key::from_static_str("session.id"), "f00dfeedbeef");
                logger.emit(rec);
            }
        }
        _ => {
            eprintln!("unknown case");
            std::process::exit(2)
        }
    };
    // the thread-based batch processor gives up force_flush after 5 s and exports what it saw at its start: go on until it stops growing
    let flush = || {
        if spans || logs {
            let mut last = u64::MAX;
            loop {
                if spans {
                    let _ = tp.force_flush();
                }
                if logs {
                    let _ = lp.force_flush();
                }
                let g = GOT.load(Relaxed);
                if g == last {
                    break;
                }
                last = g;
            }
        }
    };
    burst = burst && (spans || logs) && !e2e;
    let paced = |n: usize| -> u64 {
        if !burst {
            let w = Instant::now();
            body(n);
            return w.elapsed().as_nanos() as u64;
        }
        let (mut inb, mut i) = (0u64, 0);
        while i < n {
            while MADE.load(Relaxed) > GOT.load(Relaxed) + 511 {
                std::thread::sleep(Duration::from_micros(20));
            }
            let k = (n - i).min(500);
            let w = Instant::now();
            body(k);
            inb += w.elapsed().as_nanos() as u64;
            MADE.fetch_add(k as u64, Relaxed);
            i += 500;
        }
        inb
    };
    for run in (if e2e { 0 } else { -1 })..r {
        let n = if run < 0 { nn.max(300000) / t } else { nn / t };
        GOT.store(0, Relaxed);
        MADE.store(0, Relaxed);
        let (m0, c0, w0) = (mallocs(), cpu(), Instant::now());
        let in_ns = AtomicU64::new(0);
        std::thread::scope(|s| {
            for _ in 1..t {
                s.spawn(|| in_ns.fetch_add(paced(n), Relaxed));
            }
            in_ns.fetch_add(paced(n), Relaxed);
        });
        let prod = w0.elapsed().as_nanos() as f64;
        flush();
        let (total, c1, m1) = (w0.elapsed().as_nanos() as f64, cpu(), mallocs());
        if run < 0 {
            continue;
        }
        let tot = (n * t) as f64;
        let g = GOT.load(Relaxed) as f64;
        if e2e {
            println!(
                "rust\t{cs}\t{t}\t{run}\tqueue={queue}\tdelivered={g:.0}\tdropped={:.0}\tproduce_s={:.3}\ttotal_s={:.3}\tdelivered_per_s={:.0}\tcpu_s_per_M_delivered={:.3}\tcpu_s_per_M_made={:.3}\tpeak_rss_MiB={:.1}",
                tot - g, prod / 1e9, total / 1e9, g / (total / 1e9), (c1 - c0) / 1e9 / (g / 1e6), (c1 - c0) / 1e9 / (tot / 1e6), rss_mib()
            );
        } else {
            println!(
                "rust\t{cs}\t{t}\t{run}\t{:.1}\t{:.1}\t{:.4}\t{:.2}\t{:.1}",
                in_ns.load(Relaxed) as f64 / tot, (c1 - c0) / tot, if spans || logs { 1.0 - g / tot } else { 0.0 },
                (m1[0] - m0[0]) as f64 / tot, (m1[1] - m0[1]) as f64 / tot
            );
        }
    }
}
