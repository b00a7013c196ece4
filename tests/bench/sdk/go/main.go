// SPDX-License-Identifier: Apache-2.0
// The Go SDK in the cases of ../throughline.c.  build: go build -o bench_go .
// run:   ./bench_go CASE THREADS OPS RUNS [QUEUE]     CASE: a a0 b c d e1 e2 f1 f2 fN g | h hp     (set GOMAXPROCS to taste; default = cores)
// prints: sdk case threads run wall_ns_per_op cpu_ns_per_op dropped_frac allocs_per_op bytes_per_op
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var got atomic.Int64

type noop struct{}

func (noop) ExportSpans(_ context.Context, s []sdktrace.ReadOnlySpan) error {
	got.Add(int64(len(s)))
	return nil
}
func (noop) Shutdown(context.Context) error { return nil }

type counting struct{ in sdktrace.SpanExporter }

func (c counting) ExportSpans(x context.Context, s []sdktrace.ReadOnlySpan) error {
	n := len(s)
	err := c.in.ExportSpans(x, s)
	got.Add(int64(n))
	return err
}
func (c counting) Shutdown(x context.Context) error { return c.in.Shutdown(x) }

type nooplog struct{}

func (nooplog) Export(_ context.Context, r []sdklog.Record) error { got.Add(int64(len(r))); return nil }
func (nooplog) Shutdown(context.Context) error                    { return nil }
func (nooplog) ForceFlush(context.Context) error                  { return nil }

func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano() + r.Stime.Nano())
}

func attrs(s trace.Span) {
	s.SetAttributes(attribute.Int("http.response.status_code", 200), attribute.Int("server.port", 8080),
		attribute.String("http.request.method", "GET"), attribute.String("url.path", "/api/users/42"),
		attribute.String("server.address", "backend.example.com"))
}

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: CASE THREADS OPS RUNS [QUEUE]")
		os.Exit(2)
	}
	cs := os.Args[1]
	T, _ := strconv.Atoi(os.Args[2])
	N, _ := strconv.Atoi(os.Args[3])
	R, _ := strconv.Atoi(os.Args[4])
	queue := 0
	if len(os.Args) > 5 {
		queue, _ = strconv.Atoi(os.Args[5])
	}
	burst := queue == 0 // queue 2048, bursts of 500 that never overflow it, only the bursts timed
	if burst {
		queue = 2048
	}
	bg := context.Background()
	res := resource.NewSchemaless(attribute.String("service.name", "bench"))
	e2e := cs[0] == 'h'
	var ex sdktrace.SpanExporter = noop{}
	if e2e {
		url := os.Getenv("SINK")
		if url == "" {
			url = "http://127.0.0.1:4318/v1/traces"
		}
		o, err := otlptracehttp.New(bg, otlptracehttp.WithEndpointURL(url))
		if err != nil {
			panic(err)
		}
		ex = counting{o}
	}
	var smp sdktrace.Sampler = sdktrace.AlwaysSample()
	if cs == "b" {
		smp = sdktrace.NeverSample()
	}
	bo := []sdktrace.BatchSpanProcessorOption{sdktrace.WithMaxQueueSize(queue)}
	if b := os.Getenv("BATCH"); b != "" {
		n, _ := strconv.Atoi(b)
		bo = append(bo, sdktrace.WithMaxExportBatchSize(n))
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(smp), sdktrace.WithBatcher(ex, bo...))
	tr := tp.Tracer("bench")
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(sdkmetric.NewManualReader()))
	m := mp.Meter("bench")
	counter, _ := m.Int64Counter("requests")
	histo, _ := m.Float64Histogram("latency")
	lp := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(nooplog{}, sdklog.WithMaxQueueSize(queue))))
	lg := lp.Logger("bench")
	pctx, parent := tr.Start(bg, "parent")
	if cs == "e1" || cs == "e2" { // as it comes off the wire
		pctx = trace.ContextWithRemoteSpanContext(bg, parent.SpanContext())
	}
	prop := propagation.TraceContext{}
	var made atomic.Int64
	spans, logs := false, false
	var body func(n int)
	switch cs {
	case "a", "b", "h":
		spans = cs != "b"
		body = func(n int) {
			for i := 0; i < n; i++ {
				_, s := tr.Start(bg, "GET /api/users")
				attrs(s)
				s.End()
			}
		}
	case "hp":
		spans = true
		body = func(n int) {
			for i := 0; i < n; i++ {
				if i&63 == 0 {
					for made.Load() > got.Load()+int64(queue)*3/4 {
						time.Sleep(50 * time.Microsecond)
					}
				}
				_, s := tr.Start(bg, "GET /api/users")
				attrs(s)
				s.End()
				if i&63 == 63 {
					made.Add(64)
				}
			}
		}
	case "ad":
		spans = true
		m, p, a := []byte("GET"), []byte("/api/users/42"), []byte("backend.example.com")
		body = func(n int) {
			for i := 0; i < n; i++ {
				_, s := tr.Start(bg, "GET /api/users")
				s.SetAttributes(attribute.Int("http.response.status_code", 200), attribute.Int("server.port", 8080),
					attribute.String("http.request.method", string(m)), attribute.String("url.path", string(p)),
					attribute.String("server.address", string(a)))
				s.End()
			}
		}
	case "a0":
		spans = true
		body = func(n int) {
			for i := 0; i < n; i++ {
				_, s := tr.Start(bg, "GET /api/users")
				s.End()
			}
		}
	case "c":
		spans = true
		body = func(n int) {
			for i := 0; i < n; i++ {
				_, s := tr.Start(pctx, "GET /api/users")
				attrs(s)
				s.End()
			}
		}
	case "d":
		spans = true
		body = func(n int) {
			for i := 0; i < n; i++ {
				_, s := tr.Start(bg, "GET /api/users")
				attrs(s)
				s.AddEvent("retry", trace.WithAttributes(attribute.Int("attempt", 1)))
				s.SetStatus(codes.Error, "upstream timed out")
				s.End()
			}
		}
	case "e1":
		body = func(n int) {
			c := propagation.HeaderCarrier(http.Header{})
			for i := 0; i < n; i++ {
				prop.Inject(pctx, c)
			}
		}
	case "e2":
		body = func(n int) {
			c := propagation.HeaderCarrier(http.Header{})
			prop.Inject(pctx, c)
			for i := 0; i < n; i++ {
				_ = prop.Extract(bg, c)
			}
		}
	case "f1":
		body = func(n int) {
			for i := 0; i < n; i++ {
				counter.Add(bg, 1, metric.WithAttributes(attribute.String("http.request.method", "GET"), attribute.String("http.route", "/api/users/:id"), attribute.Int("http.response.status_code", 200)))
			}
		}
	case "fN":
		body = func(n int) {
			for i := 0; i < n; i++ {
				counter.Add(bg, 1, metric.WithAttributes(attribute.String("http.request.method", "GET"), attribute.String("http.route", "/api/users/:id"), attribute.Int("http.response.status_code", 200+i%100)))
			}
		}
	case "f2":
		body = func(n int) {
			for i := 0; i < n; i++ {
				histo.Record(bg, float64(i&1023), metric.WithAttributes(attribute.String("http.request.method", "GET"), attribute.String("http.route", "/api/users/:id"), attribute.Int("http.response.status_code", 200)))
			}
		}
	case "f1set": // the advice for hot paths: the set made once
		set := metric.WithAttributeSet(attribute.NewSet(attribute.String("http.request.method", "GET"), attribute.String("http.route", "/api/users/:id"), attribute.Int("http.response.status_code", 200)))
		body = func(n int) {
			for i := 0; i < n; i++ {
				counter.Add(bg, 1, set)
			}
		}
	case "g":
		logs = true
		body = func(n int) {
			for i := 0; i < n; i++ {
				var r log.Record
				r.SetTimestamp(time.Now())
				r.SetSeverity(log.SeverityInfo)
				r.SetBody(attribute.StringValue("user logged in"))
				r.AddAttributes(attribute.Int("user.id", 42), attribute.String("client.address", "10.1.2.3"), attribute.String("session.id", "f00dfeedbeef"))
				lg.Emit(bg, r)
			}
		}
	default:
		fmt.Fprintln(os.Stderr, "unknown case")
		os.Exit(2)
	}
	burst = burst && (spans || logs) && !e2e
	paced := func(n int) int64 {
		if !burst {
			w := time.Now()
			body(n)
			return time.Since(w).Nanoseconds()
		}
		var in int64
		for i := 0; i < n; i += 500 {
			for made.Load() > got.Load()+511 {
				time.Sleep(20 * time.Microsecond)
			}
			k := min(n-i, 500)
			w := time.Now()
			body(k)
			in += time.Since(w).Nanoseconds()
			made.Add(int64(k))
		}
		return in
	}
	first := -1
	if e2e {
		first = 0
	}
	for run := first; run < R; run++ {
		n := N / T
		if run < 0 && N < 300000 {
			n = 300000 / T
		}
		got.Store(0)
		made.Store(0)
		var m0, m1 runtime.MemStats
		runtime.ReadMemStats(&m0)
		c0, w0 := cpu(), time.Now()
		var wg sync.WaitGroup
		var in atomic.Int64
		for t := 1; t < T; t++ {
			wg.Add(1)
			go func() { defer wg.Done(); in.Add(paced(n)) }()
		}
		in.Add(paced(n))
		wg.Wait()
		prod := time.Since(w0)
		if spans {
			tp.ForceFlush(bg)
		}
		if logs {
			lp.ForceFlush(bg)
		}
		total, c1 := time.Since(w0), cpu()
		runtime.ReadMemStats(&m1)
		if run < 0 {
			continue
		}
		tot := float64(n * T)
		lost := 0.0
		if spans || logs {
			lost = 1 - float64(got.Load())/tot
		}
		if e2e {
			var r syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_SELF, &r)
			g := float64(got.Load())
			fmt.Printf("go\t%s\t%d\t%d\tqueue=%d\tdelivered=%.0f\tdropped=%.0f\tproduce_s=%.3f\ttotal_s=%.3f\tdelivered_per_s=%.0f\tcpu_s_per_M_delivered=%.3f\tcpu_s_per_M_made=%.3f\tpeak_rss_MiB=%.1f\n",
				cs, T, run, queue, g, tot-g, prod.Seconds(), total.Seconds(), g/total.Seconds(), (c1-c0)/1e9/(g/1e6), (c1-c0)/1e9/(tot/1e6), float64(r.Maxrss)/1024)
		} else {
			fmt.Printf("go\t%s\t%d\t%d\t%.1f\t%.1f\t%.4f\t%.2f\t%.1f\n", cs, T, run, float64(in.Load())/tot, (c1-c0)/tot, lost,
				float64(m1.Mallocs-m0.Mallocs)/tot, float64(m1.TotalAlloc-m0.TotalAlloc)/tot)
		}
	}
}
