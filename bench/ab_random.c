/* ab_random.c - see ab_random.h. */
#include "bench/ab_random.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_BYTES = 512 * 1024 * 1024 };

/* ---- zipf: rejection-inversion -----------------------------------------------------------------
 *
 * h(x) = x^-s is integrated to H(x) = (x^(1-s) - 1) / (1 - s), or ln x for s = 1. A point u is
 * drawn evenly under the hat of H between H(1.5) - h(1) and H(n + 0.5), turned back by the inverse
 * of H and rounded. It is taken at once when it lies within `shift` of the integer, and otherwise
 * if it lies under the bar of that integer. Both functions are written with expm1 and log1p so
 * that they keep their digits around s = 1.
 */

static double over_expm1(double t)
{
    return fabs(t) > 1e-8 ? expm1(t) / t : 1.0 + t / 2.0 * (1.0 + t / 3.0);
}

static double over_log1p(double t)
{
    return fabs(t) > 1e-8 ? log1p(t) / t : 1.0 - t * (0.5 - t / 3.0);
}

static double zipf_bar(double s, double x)
{
    return exp(-s * log(x));
}

static double zipf_integral(double s, double x)
{
    double log_x = log(x);
    return over_expm1((1.0 - s) * log_x) * log_x;
}

static double zipf_inverse(double s, double u)
{
    double t = u * (1.0 - s);
    if (t < -1.0) {
        t = -1.0; /* rounding at the far end of a steep curve */
    }
    return exp(over_log1p(t) * u);
}

static uint64_t zipf_draw(const struct ab_dist *d, struct ab_rng *r)
{
    for (;;) {
        double u = d->high_ + ab_rng_unit(r) * (d->low_ - d->high_);
        double x = zipf_inverse(d->a, u);
        double k = floor(x + 0.5);
        if (k < 1.0) {
            k = 1.0;
        } else if (k > (double)d->count) {
            k = (double)d->count;
        }
        if (k - x <= d->shift_ || u >= zipf_integral(d->a, k + 0.5) - zipf_bar(d->a, k)) {
            return (uint64_t)k - 1;
        }
    }
}

/* ---- the others ------------------------------------------------------------------------------ */

/* Box and Muller, one of the two values: draws must not depend on earlier ones. */
static uint64_t gauss_draw(const struct ab_dist *d, struct ab_rng *r)
{
    double n = (double)d->count;
    for (;;) {
        double radius = sqrt(-2.0 * log(1.0 - ab_rng_unit(r)));
        double x = radius * cos(2.0 * M_PI * ab_rng_unit(r));
        double at = (d->a + d->b * x) * n;
        if (at >= 0 && at < n) {
            return (uint64_t)at;
        }
    }
}

static uint64_t hot_draw(const struct ab_dist *d, struct ab_rng *r)
{
    if (d->hot_count_ == d->count || ab_rng_unit(r) < d->b) {
        return ab_rng_below(r, d->hot_count_);
    }
    return d->hot_count_ + ab_rng_below(r, d->count - d->hot_count_);
}

uint64_t ab_dist_draw(const struct ab_dist *d, struct ab_rng *r, uint64_t sequence)
{
    switch (d->kind) {
    case AB_ZIPF:
        return zipf_draw(d, r);
    case AB_GAUSS:
        return gauss_draw(d, r);
    case AB_SEQUENTIAL:
        return sequence % d->count;
    case AB_HOT:
        return hot_draw(d, r);
    case AB_UNIFORM:
        break;
    }
    return ab_rng_below(r, d->count);
}

void ab_dist_prepare(struct ab_dist *d, uint64_t count)
{
    assert(count > 0);
    d->count = count;
    if (d->kind == AB_ZIPF) {
        d->low_ = zipf_integral(d->a, 1.5) - 1.0;
        d->high_ = zipf_integral(d->a, (double)count + 0.5);
        d->shift_ = 2.0 - zipf_inverse(d->a, zipf_integral(d->a, 2.5) - zipf_bar(d->a, 2.0));
    } else if (d->kind == AB_HOT) {
        d->hot_count_ = (uint64_t)(d->a * (double)count + 0.5);
        d->hot_count_ = d->hot_count_ < 1 ? 1 : d->hot_count_ > count ? count : d->hot_count_;
    }
}

/* Reads up to two numbers "1.2,0.3"; false when there is something else. */
static bool two_numbers(const char *text, int needed, double out[2])
{
    for (int i = 0; i < 2; i++) {
        char *end;
        out[i] = strtod(text, &end);
        if (end == text || !isfinite(out[i])) {
            return false;
        }
        if (*end == 0) {
            return i + 1 >= needed;
        }
        if (*end != ',' || i == 1) {
            return false;
        }
        text = end + 1;
    }
    return false;
}

bool ab_dist_parse(struct ab_dist *d, const char *text)
{
    double v[2] = {0, 0};

    *d = (struct ab_dist){.kind = AB_UNIFORM};
    if (strcmp(text, "uniform") == 0) {
        return true;
    }
    if (strcmp(text, "sequential") == 0) {
        d->kind = AB_SEQUENTIAL;
        return true;
    }
    if (strcmp(text, "gauss") == 0) {
        *d = (struct ab_dist){.kind = AB_GAUSS, .a = 0.5, .b = 1.0 / 6.0};
        return true;
    }
    if (strncmp(text, "gauss:", 6) == 0 && two_numbers(text + 6, 2, v)) {
        *d = (struct ab_dist){.kind = AB_GAUSS, .a = v[0], .b = v[1]};
        return v[0] >= 0 && v[0] <= 1 && v[1] > 0;
    }
    if (strncmp(text, "zipf:", 5) == 0 && !strchr(text, ',') && two_numbers(text + 5, 1, v)) {
        *d = (struct ab_dist){.kind = AB_ZIPF, .a = v[0]};
        return v[0] >= 0;
    }
    if (strncmp(text, "hot:", 4) == 0 && two_numbers(text + 4, 2, v)) {
        *d = (struct ab_dist){.kind = AB_HOT, .a = v[0], .b = v[1]};
        return v[0] > 0 && v[0] <= 1 && v[1] >= 0 && v[1] <= 1;
    }
    return false;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* A number with an optional unit k or m (powers of 1024). */
static bool read_bytes(const char **text, uint32_t *out)
{
    char *end;
    if (**text < '0' || **text > '9') {
        return false;
    }
    unsigned long long v = strtoull(*text, &end, 10);
    if (v > SIZE_MAX_BYTES) {
        return false;
    }
    if (*end == 'k' || *end == 'K') {
        v *= 1024;
        end++;
    } else if (*end == 'm' || *end == 'M') {
        v *= 1024 * 1024;
        end++;
    }
    *text = end;
    *out = (uint32_t)v;
    return v <= SIZE_MAX_BYTES;
}

bool ab_size_parse(struct ab_size *s, const char *text)
{
    double total = 0;

    memset(s, 0, sizeof *s);
    for (;;) {
        uint32_t low, high;
        double weight = 1;
        if (s->count == AB_SIZE_CHOICES_MAX || !read_bytes(&text, &low)) {
            return false;
        }
        high = low;
        if (*text == '-') {
            text++;
            if (!read_bytes(&text, &high) || high < low) {
                return false;
            }
        }
        if (*text == ':') {
            char *end;
            weight = strtod(text + 1, &end);
            if (end == text + 1 || !(weight > 0) || !isfinite(weight)) {
                return false;
            }
            text = end;
        }
        total += weight;
        s->choice[s->count].low = low;
        s->choice[s->count].high = high;
        s->choice[s->count++].up_to = total;
        s->max = high > s->max ? high : s->max;
        if (*text == 0) {
            break;
        }
        if (*text++ != ',') {
            return false;
        }
    }
    for (int i = 0; i < s->count; i++) {
        s->choice[i].up_to /= total;
    }
    s->choice[s->count - 1].up_to = 1.0;
    s->fixed = s->count == 1 && s->choice[0].low == s->choice[0].high;
    return true;
}

uint32_t ab_size_of(const struct ab_size *s, uint64_t random)
{
    if (s->fixed) {
        return s->max;
    }
    struct ab_rng r = {random};
    int at = 0;
    if (s->count > 1) {
        double u = ab_rng_unit(&r);
        while (at < s->count - 1 && u >= s->choice[at].up_to) {
            at++;
        }
    }
    uint32_t low = s->choice[at].low, high = s->choice[at].high;
    return low + (uint32_t)ab_rng_below(&r, (uint64_t)high - low + 1);
}
