/* ab_report.c - see ab_report.h. */
#include "bench/ab_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double ab_report_percentiles[] = {50, 90, 99, 99.9, 99.99, 99.999, -1};
const char *const ab_report_percentile_names[] = {"p50", "p90", "p99", "p99.9", "p99.99", "p99.999"};

/* ---- text ------------------------------------------------------------------------------------ */

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void print_latencies(const char *label, const struct ab_hist *h, int digits)
{
    printf("  %-22s %9.*f %9.*f", label, digits, ms(ab_hist_min(h)), digits, ab_hist_mean(h) / 1e6);
    for (int i = 0; ab_report_percentiles[i] >= 0; i++) {
        printf(" %9.*f", digits, ms(ab_hist_percentile(h, ab_report_percentiles[i])));
    }
    printf(" %9.*f\n", digits, ms(ab_hist_max(h)));
}

static void print_latency_table(const struct ab_result *r, int digits)
{
    printf("  %-22s %9s %9s", "latencies (msec)", "min", "mean");
    for (int i = 0; ab_report_percentiles[i] >= 0; i++) {
        printf(" %9s", ab_report_percentile_names[i]);
    }
    printf(" %9s\n", "max");
    print_latencies(r->open_loop ? "from intended start" : "from sending", r->total.latency, digits);
    if (r->open_loop) {
        print_latencies("service time", r->total.service, digits);
    }
    for (int i = 0; r->command_count > 1 && i < r->command_count; i++) {
        const struct ab_command_result *c = &r->commands[i];
        if (c->requests > 0) {
            print_latencies(c->name, c->latency, digits);
        }
    }
}

static void print_head(const struct ab_report *rep, const struct ab_result *r)
{
    const struct ab_options *o = rep->options;
    const struct ab_size *d = &o->data;

    printf("====== %s ======\n", r->name);
    printf("  %llu requests completed in %.2f seconds\n", (unsigned long long)r->total.requests,
           r->seconds);
    printf("  %lld parallel clients\n", (long long)o->clients);
    if (d->fixed) {
        printf("  %u bytes payload\n", d->max);
    } else {
        printf("  up to %u bytes payload\n", d->max);
    }
    printf("  keep alive: %d\n", o->keep_alive);
    printf("  multi-thread: %s\n", o->threads > 1 ? "yes" : "no");
    if (o->threads > 1) {
        printf("  threads: %lld\n", (long long)o->threads);
    }
    if (r->open_loop && r->rate > 0) {
        printf("  open loop: %.0f requests per second intended, up to %lld outstanding per client\n",
               r->rate, (long long)o->pipeline);
    } else if (r->open_loop) {
        printf("  open loop: the recording's own times\n");
    } else {
        printf("  closed loop: pipeline of %lld\n", (long long)o->pipeline);
    }
}

static void print_counts(const struct ab_result *r)
{
    const struct ab_command_result *t = &r->total;
    if (t->errors > 0) {
        printf("  errors: %llu, the first: %s\n", (unsigned long long)t->errors, r->first_error);
    }
    if (t->mismatches > 0) {
        printf("  WRONG VALUES: %llu replies were not the value of their key\n",
               (unsigned long long)t->mismatches);
    }
    if (t->misses > 0) {
        printf("  null replies: %llu (%.2f %%)\n", (unsigned long long)t->misses,
               100.0 * (double)t->misses / (double)t->requests);
    }
    if (r->unfinished > 0) {
        printf("  unfinished: %llu requests were due but not answered in time; they count with the "
               "time waited so far\n", (unsigned long long)r->unfinished);
    }
    if (r->moved + r->asked > 0) {
        printf("  redirects followed: %llu MOVED, %llu ASK\n", (unsigned long long)r->moved,
               (unsigned long long)r->asked);
    }
}

static void print_full(const struct ab_report *rep, const struct ab_result *r)
{
    const struct ab_hist *h = r->total.latency;
    int digits = rep->options->precision_given ? (int)rep->options->precision : 3;

    print_head(rep, r);
    print_counts(r);
    printf("\n");
    print_latency_table(r, digits);
    printf("  network: in %.2f MB/s, out %.2f MB/s\n",
           r->seconds > 0 ? (double)r->total.bytes_in / 1e6 / r->seconds : 0,
           r->seconds > 0 ? (double)r->total.bytes_out / 1e6 / r->seconds : 0);
    if (r->server_cpu_us >= 0) {
        printf("  CPU per request: server %.3f usec, ashlar-bench %.3f usec (%s)\n", r->server_cpu_us,
               r->client_cpu_us, r->backend);
    } else if (r->client_cpu_us >= 0) {
        printf("  CPU per request: server unknown (not on this host), ashlar-bench %.3f usec (%s)\n",
               r->client_cpu_us, r->backend);
    }
    printf("\nSummary:\n");
    printf("  throughput summary: %.2f requests per second\n", ab_result_rps(r, &r->total));
    printf("  latency summary (msec):\n");
    printf("          avg       min       p50       p95       p99       max\n");
    printf("    %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f\n\n", ab_hist_mean(h) / 1e6, ms(ab_hist_min(h)),
           ms(ab_hist_percentile(h, 50)), ms(ab_hist_percentile(h, 95)),
           ms(ab_hist_percentile(h, 99)), ms(ab_hist_max(h)));
}

static void csv_text(FILE *f, const char *s)
{
    putc('"', f);
    for (; *s; s++) {
        if (*s == '"') {
            putc('"', f);
        }
        putc(*s, f);
    }
    putc('"', f);
}

void ab_report_csv_head(void)
{
    printf("\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\","
           "\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n");
}

void ab_report_print(const struct ab_report *rep, const struct ab_result *r)
{
    const struct ab_options *o = rep->options;
    const struct ab_hist *h = r->total.latency;
    double rps = ab_result_rps(r, &r->total);

    if (o->csv) {
        csv_text(stdout, r->name);
        printf(",\"%.2f\",\"%.3f\",\"%.3f\",\"%.3f\",\"%.3f\",\"%.3f\",\"%.3f\"\n", rps,
               ab_hist_mean(h) / 1e6, ms(ab_hist_min(h)), ms(ab_hist_percentile(h, 50)),
               ms(ab_hist_percentile(h, 95)), ms(ab_hist_percentile(h, 99)), ms(ab_hist_max(h)));
    } else if (o->quiet) {
        printf("%s: %.2f requests per second, p50=%.3f msec\n", r->name, rps,
               ms(ab_hist_percentile(h, 50)));
    } else {
        print_full(rep, r);
    }
    if (o->csv || o->quiet) { /* what must not be overlooked goes to the other stream */
        if (r->total.errors > 0) {
            fprintf(stderr, "%s: %llu errors, the first: %s\n", r->name,
                    (unsigned long long)r->total.errors, r->first_error);
        }
        if (r->total.mismatches > 0) {
            fprintf(stderr, "%s: WRONG VALUES: %llu\n", r->name, (unsigned long long)r->total.mismatches);
        }
    }
    fflush(stdout);
}

void ab_report_print_sweep(const struct ab_report *rep)
{
    const struct ab_options *o = rep->options;
    if (o->csv || o->quiet) {
        printf("sweep %s: %.0f requests per second\n", o->sweep, rep->best_rate);
        return;
    }
    printf("====== sweep: highest rate with %s ======\n", o->sweep);
    printf("  %12s %12s %10s %10s %10s\n", "rate", "achieved", "p50 ms", "p99 ms", "p99.9 ms");
    for (int i = 0; i < rep->point_count; i++) {
        const struct ab_sweep_point *p = &rep->points[i];
        printf("  %12.0f %12.0f %10.3f %10.3f %10.3f  %s\n", p->rate, p->rps, ms(p->p50_ns),
               ms(p->p99_ns), ms(p->p999_ns), p->holds ? "" : "over");
    }
    if (rep->best_rate > 0) {
        printf("  best: %.0f requests per second\n\n", rep->best_rate);
    } else {
        printf("  best: none, the bound does not hold at the lowest rate\n\n");
    }
}

/* ---- CSV file -------------------------------------------------------------------------------- */

static void csv_row(FILE *f, const struct ab_result *r, const struct ab_command_result *c,
                    const char *part_of)
{
    csv_text(f, c->name);
    putc(',', f);
    csv_text(f, part_of);
    fprintf(f, ",%llu,%llu,%llu,%llu,%.6f,%.2f,%llu,%llu", (unsigned long long)c->requests,
            (unsigned long long)c->errors, (unsigned long long)c->mismatches,
            (unsigned long long)c->misses, r->seconds, ab_result_rps(r, c),
            (unsigned long long)c->bytes_in, (unsigned long long)c->bytes_out);
    if (part_of[0] || r->server_cpu_us < 0) {
        fprintf(f, ",");
    } else {
        fprintf(f, ",%.4f", r->server_cpu_us);
    }
    if (part_of[0] || r->client_cpu_us < 0) {
        fprintf(f, ",");
    } else {
        fprintf(f, ",%.4f", r->client_cpu_us);
    }
    const struct ab_hist *both[] = {c->latency, c->service};
    for (int k = 0; k < 2; k++) {
        if (!both[k]) {
            for (int i = 0; i < 9; i++) {
                putc(',', f);
            }
            continue;
        }
        fprintf(f, ",%.3f,%.3f", (double)ab_hist_min(both[k]) / 1e3, ab_hist_mean(both[k]) / 1e3);
        for (int i = 0; ab_report_percentiles[i] >= 0; i++) {
            fprintf(f, ",%.3f", (double)ab_hist_percentile(both[k], ab_report_percentiles[i]) / 1e3);
        }
        fprintf(f, ",%.3f", (double)ab_hist_max(both[k]) / 1e3);
    }
    putc('\n', f);
}

static void csv_file_head(FILE *f)
{
    static const char *const prefixes[] = {"latency_us_", "service_us_"};
    fprintf(f, "test,part_of,requests,errors,mismatches,misses,seconds,rps,bytes_in,bytes_out,"
               "server_cpu_us_per_request,client_cpu_us_per_request");
    for (int k = 0; k < 2; k++) {
        fprintf(f, ",%smin,%smean", prefixes[k], prefixes[k]);
        for (int i = 0; ab_report_percentiles[i] >= 0; i++) {
            fprintf(f, ",%s%s", prefixes[k], ab_report_percentile_names[i]);
        }
        fprintf(f, ",%smax", prefixes[k]);
    }
    putc('\n', f);
}

bool ab_report_csv_file(const struct ab_report *rep, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!f) {
        return false;
    }
    csv_file_head(f);
    for (int i = 0; i < rep->run_count; i++) {
        const struct ab_result *r = &rep->runs[i];
        csv_row(f, r, &r->total, "");
        for (int c = 0; r->command_count > 1 && c < r->command_count; c++) {
            csv_row(f, r, &r->commands[c], r->name);
        }
    }
    bool ok = !ferror(f);
    return f == stdout ? fflush(f) == 0 && ok : fclose(f) == 0 && ok;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Bytes that are not UTF-8 would make the file invalid; those above 127 are written as escapes of
 * their value. */
static void json_text(FILE *f, const char *s)
{
    putc('"', f);
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            fprintf(f, "\\%c", c);
        } else if (c < 32 || c > 126) {
            fprintf(f, "\\u%04x", c);
        } else {
            putc(c, f);
        }
    }
    putc('"', f);
}

static void json_pair(FILE *f, const char *name, const char *value, bool last)
{
    fprintf(f, "\"%s\":", name);
    if (value) {
        json_text(f, value);
    } else {
        fprintf(f, "null");
    }
    fprintf(f, last ? "" : ",");
}

static void json_latency(FILE *f, const char *name, const struct ab_hist *h)
{
    fprintf(f, ",\"%s\":{\"min\":%.3f,\"mean\":%.3f", name, (double)ab_hist_min(h) / 1e3,
            ab_hist_mean(h) / 1e3);
    for (int i = 0; ab_report_percentiles[i] >= 0; i++) {
        fprintf(f, ",\"%s\":%.3f", ab_report_percentile_names[i],
                (double)ab_hist_percentile(h, ab_report_percentiles[i]) / 1e3);
    }
    fprintf(f, ",\"max\":%.3f}", (double)ab_hist_max(h) / 1e3);
}

static void json_cpu(FILE *f, const char *name, double us)
{
    if (us < 0) {
        fprintf(f, ",\"%s\":null", name);
    } else {
        fprintf(f, ",\"%s\":%.4f", name, us);
    }
}

static void json_run(FILE *f, const struct ab_result *r, const struct ab_command_result *c, bool part)
{
    fprintf(f, "\n  {\"name\":");
    json_text(f, c->name);
    if (part) {
        fprintf(f, ",\"part_of\":");
        json_text(f, r->name);
    }
    fprintf(f, ",\"requests\":%llu,\"errors\":%llu,\"mismatches\":%llu,\"misses\":%llu,\"seconds\":%.6f,"
               "\"rps\":%.3f,\"bytes_in\":%llu,\"bytes_out\":%llu",
            (unsigned long long)c->requests, (unsigned long long)c->errors,
            (unsigned long long)c->mismatches, (unsigned long long)c->misses, r->seconds,
            ab_result_rps(r, c), (unsigned long long)c->bytes_in, (unsigned long long)c->bytes_out);
    json_cpu(f, "server_cpu_us_per_request", part ? -1 : r->server_cpu_us);
    json_cpu(f, "client_cpu_us_per_request", part ? -1 : r->client_cpu_us);
    json_latency(f, "latency_us", c->latency);
    if (c->service) {
        json_latency(f, "service_us", c->service);
    }
    if (!part) {
        if (r->rate > 0) {
            fprintf(f, ",\"rate\":%.3f", r->rate);
        }
        fprintf(f, ",\"unfinished\":%llu,\"moved\":%llu,\"asked\":%llu,\"first_error\":",
                (unsigned long long)r->unfinished, (unsigned long long)r->moved,
                (unsigned long long)r->asked);
        json_text(f, r->first_error);
        fprintf(f, ",\"series\":[");
        for (int i = 0; i < r->point_count; i++) {
            const struct ab_point *p = &r->series[i];
            fprintf(f, "%s{\"t\":%.3f,\"rps\":%.1f,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}", i ? "," : "",
                    p->at_s, p->rps, (double)p->p50_ns / 1e3, (double)p->p99_ns / 1e3,
                    (double)p->max_ns / 1e3);
        }
        fprintf(f, "]");
    }
    fprintf(f, "}");
}

static void json_config(FILE *f, const struct ab_report *rep)
{
    const struct ab_options *o = rep->options;
    static const char *const dists[] = {"uniform", "zipf", "gauss", "sequential", "hot"};

    fprintf(f, "\"config\":{");
    json_pair(f, "host", o->target.unix_path ? NULL : o->target.host, false);
    fprintf(f, "\"port\":%u,", o->target.port);
    json_pair(f, "socket", o->target.unix_path, false);
    fprintf(f, "\"cluster\":%s,\"resp\":%d,\"db\":%d,\"clients\":%lld,\"pipeline\":%lld,\"threads\":%lld,"
               "\"requests\":%lld,\"duration_s\":%.3f,\"warmup_s\":%.3f,\"keep_alive\":%s,"
               "\"loop\":\"%s\",\"rate\":%.3f,\"arrival\":\"%s\",\"keys\":%lld,\"distribution\":\"%s\","
               "\"data_size_max\":%u,\"verify\":%s,\"loaded\":%llu,\"load_seconds\":%.3f,\"seed\":%llu},\n",
            o->cluster ? "true" : "false", o->target.resp3 ? 3 : 2, o->target.db, (long long)o->clients,
            (long long)o->pipeline, (long long)o->threads, (long long)o->requests,
            (double)o->duration_ns / 1e9, (double)o->warmup_ns / 1e9, o->keep_alive ? "true" : "false",
            o->rate > 0 || o->sweep ? "open" : "closed", o->rate,
            o->arrival == AB_ARRIVAL_POISSON ? "poisson" : "even",
            (long long)(o->keyspace_given ? o->keyspace : 0), dists[o->dist.kind], o->data.max,
            o->verify ? "true" : "false", (unsigned long long)rep->loaded, rep->load_seconds,
            (unsigned long long)o->seed);
}

bool ab_report_json(const struct ab_report *rep, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!f) {
        return false;
    }
    fprintf(f, "{\"tool\":\"ashlar-bench\",\"version\":\"%s\",\n\"server\":{", ASHLAR_VERSION);
    json_pair(f, "version", rep->server.version, false);
    json_pair(f, "name", rep->server.name, false);
    json_pair(f, "mode", rep->server.mode, false);
    json_pair(f, "os", rep->server.os, false);
    fprintf(f, "\"process_id\":%lld,\"uptime_s\":%lld},\n", rep->server.pid, rep->server.uptime_s);
    json_config(f, rep);
    fprintf(f, "\"runs\":[");
    for (int i = 0, written = 0; i < rep->run_count; i++) {
        const struct ab_result *r = &rep->runs[i];
        fprintf(f, written++ ? "," : "");
        json_run(f, r, &r->total, false);
        for (int c = 0; r->command_count > 1 && c < r->command_count; c++) {
            fprintf(f, ",");
            json_run(f, r, &r->commands[c], true);
        }
    }
    fprintf(f, "]");
    if (rep->options->sweep) {
        fprintf(f, ",\n\"sweep\":{\"bound\":");
        json_text(f, rep->options->sweep);
        fprintf(f, ",\"bound_us\":%.3f,\"points\":[", (double)rep->options->sweep_bound_ns / 1e3);
        for (int i = 0; i < rep->point_count; i++) {
            const struct ab_sweep_point *p = &rep->points[i];
            fprintf(f, "%s\n  {\"rate\":%.1f,\"rps\":%.1f,\"p50\":%.3f,\"p99\":%.3f,\"p99.9\":%.3f,"
                       "\"holds\":%s}", i ? "," : "", p->rate, p->rps, (double)p->p50_ns / 1e3,
                    (double)p->p99_ns / 1e3, (double)p->p999_ns / 1e3, p->holds ? "true" : "false");
        }
        fprintf(f, "],\"best\":%.1f}", rep->best_rate);
    }
    fprintf(f, "}\n");
    bool ok = !ferror(f);
    return f == stdout ? fflush(f) == 0 && ok : fclose(f) == 0 && ok;
}
