/* ab_main.c - ashlar-bench, the load generator: see README.md for what it does.
 *
 * The main thread reads the options, makes the workload, loads keys, and goes through the runs one
 * after another (ab_run.h); then it writes what was asked for.
 *
 * Ends with 0; 1: wrong options, no connection, a run broken off; 2: replies were errors; 3: a
 * value was not the one of its key.
 */
#include "bench/ab_plot.h"
#include "bench/ab_session.h"
#include "bench/ab_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOAD_PIPELINE_MIN = 64, END_FAILED = 1, END_ERRORS = 2, END_WRONG_VALUES = 3 };

/* Every connection is a descriptor; as many as there may be. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool load_keys(struct ab_session *s)
{
    const struct ab_options *o = s->options;
    struct ab_run_spec spec = ab_session_spec(s, &s->work.load);
    struct ab_result result;

    spec.space = &s->work.load_space;
    spec.requests = (uint64_t)o->load;
    spec.pipeline = o->pipeline < LOAD_PIPELINE_MIN ? LOAD_PIPELINE_MIN : (int)o->pipeline;
    spec.keep_alive = true;
    spec.rate = 0;
    spec.warmup_ns = spec.duration_ns = 0;
    ab_session_run(s, &spec, false, &result);
    s->report.loaded = result.total.requests - result.total.errors;
    s->report.load_seconds = result.seconds;
    if (result.total.errors > 0) {
        fprintf(stderr, "ashlar-bench: --load: %llu errors, the first: %s\n",
                (unsigned long long)result.total.errors, result.first_error);
        s->failed = true;
    } else if (!o->csv && !o->quiet && !s->failed) {
        printf("loaded %llu keys in %.2f seconds\n\n", (unsigned long long)s->report.loaded,
               result.seconds);
    }
    ab_result_free(&result);
    return !s->failed;
}

static void run_phases(struct ab_session *s)
{
    const struct ab_options *o = s->options;

    do {
        ab_session_forget(s); /* with -l only the last round is kept */
        if (o->replay) {
            struct ab_run_spec spec = ab_session_spec(s, NULL);
            ab_report_print(&s->report, ab_session_run(s, &spec, true, NULL));
        }
        for (int i = 0; i < s->work.phase_count && !s->failed; i++) {
            if (o->sweep) {
                ab_sweep_run(s, &s->work.phases[i]);
                continue;
            }
            struct ab_run_spec spec = ab_session_spec(s, &s->work.phases[i]);
            const struct ab_result *r = ab_session_run(s, &spec, true, NULL);
            if (r->total.requests > 0) {
                ab_report_print(&s->report, r);
            }
        }
    } while (o->loop_forever && !s->failed);
}

static void idle(struct ab_session *s)
{
    const struct ab_options *o = s->options;
    int opened = 0;
    for (; opened < o->clients; opened++) {
        if (ab_target_connect(&o->target, NULL, 0, true) < 0) {
            fprintf(stderr, "ashlar-bench: connection %d could not be opened\n", opened + 1);
            s->failed = true;
            return;
        }
    }
    printf("%d idle connections are open, end with Ctrl-C\n", opened);
    fflush(stdout);
    pause();
}

static void write_files(struct ab_session *s)
{
    const struct ab_options *o = s->options;
    if (o->json && !ab_report_json(&s->report, o->json)) {
        fprintf(stderr, "ashlar-bench: --json %s: %s\n", o->json, strerror(errno));
        s->failed = true;
    }
    if (o->csv_file && !ab_report_csv_file(&s->report, o->csv_file)) {
        fprintf(stderr, "ashlar-bench: --csv-file %s: %s\n", o->csv_file, strerror(errno));
        s->failed = true;
    }
}

static void draw(struct ab_session *s)
{
    const struct ab_options *o = s->options;
    if (o->svg && !ab_plot_write(&s->report, o->svg, false)) {
        s->failed = true;
    }
    if (o->png && !ab_plot_write(&s->report, o->png, true)) {
        s->failed = true;
    }
}

static int verdict(const struct ab_session *s)
{
    uint64_t errors = 0, wrong = 0;
    for (int i = 0; i < s->report.run_count; i++) {
        errors += s->report.runs[i].total.errors;
        wrong += s->report.runs[i].total.mismatches;
    }
    return s->failed ? END_FAILED : wrong > 0 ? END_WRONG_VALUES : errors > 0 ? END_ERRORS : 0;
}

int main(int argc, char **argv)
{
    static struct ab_options o;
    static struct ab_session s;
    char err[AB_OPTIONS_ERR_BYTES];

    if (!ab_options_parse(&o, argc, argv, err)) {
        fprintf(stderr, "ashlar-bench: %s\n", err);
        return END_FAILED;
    }
    if (o.show_help) {
        fputs(ab_options_help, stdout);
        return 0;
    }
    if (o.show_version) {
        printf("ashlar-bench %s\n", ASHLAR_VERSION);
        return 0;
    }
    if (o.errors_option) {
        fprintf(stderr, "ashlar-bench: -e has no effect, errors are always counted and shown\n");
    }
    raise_descriptor_limit();
    ab_value_prepare();
    if (!ab_session_open(&s, &o, err)) {
        fprintf(stderr, "ashlar-bench: %s\n", err);
        ab_session_close(&s);
        return END_FAILED;
    }
    if (o.idle) {
        idle(&s);
    } else if (o.load == 0 || load_keys(&s)) {
        if (o.csv && !o.sweep) {
            ab_report_csv_head();
        }
        run_phases(&s);
        write_files(&s);
        draw(&s);
    }
    int end = verdict(&s);
    ab_session_close(&s);
    ab_options_free(&o);
    return end;
}
