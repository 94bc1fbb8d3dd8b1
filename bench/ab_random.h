/* ab_random.h - random numbers and the distributions that keys and sizes are drawn from.
 *
 * The generator is splitmix64: its whole state is one 64-bit number, so a request that remembers
 * the number it started from can be built again, byte for byte, when a cluster redirects it.
 *
 *   uniform       every key with the same probability
 *   zipf:<s>      key k (from 0) with a probability proportional to 1/(k+1)^s; any s >= 0. Drawn by
 *                 rejection-inversion (Hörmann and Derflinger, 1996): exact, no tables, about 1.1
 *                 tries for each draw whatever the number of keys
 *   gauss:<m>,<d> a bell around m with standard deviation d, both as shares of the range
 *                 (0.5,0.1666 by default); what falls outside is drawn again
 *   sequential    0, 1, 2 … and from the start again; the position is the caller's
 *   hot:<k>,<r>   the first k of the keys (a share) get r of the requests (a share), both evenly
 *
 * Thread: a struct ab_dist is constant once it is made; a struct ab_rng belongs to one thread.
 */
#ifndef ASHLAR_BENCH_AB_RANDOM_H
#define ASHLAR_BENCH_AB_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#define AB_GOLDEN 0x9e3779b97f4a7c15u

struct ab_rng {
    uint64_t state;
};

static inline uint64_t ab_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t ab_rng_next(struct ab_rng *r)
{
    r->state += AB_GOLDEN;
    return ab_mix(r->state);
}

/* Evenly in [0, n); the bias is below n / 2^64. */
static inline uint64_t ab_rng_below(struct ab_rng *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)ab_rng_next(r) * n) >> 64);
}

/* Evenly in [0, 1). */
static inline double ab_rng_unit(struct ab_rng *r)
{
    return (double)(ab_rng_next(r) >> 11) * 0x1p-53;
}

enum ab_dist_kind { AB_UNIFORM, AB_ZIPF, AB_GAUSS, AB_SEQUENTIAL, AB_HOT };

struct ab_dist {
    enum ab_dist_kind kind;
    uint64_t count; /* draws lie in [0, count) */
    double a, b;    /* zipf: skew; gauss: mean, deviation; hot: share of keys, of requests */
    /* zipf: the integral of 1/x^s at both ends, and the shift below which no test is needed */
    double low_, high_, shift_;
    uint64_t hot_count_;
};

/* Reads a distribution as above into *d, count still unset. Returns false when text is none. */
bool ab_dist_parse(struct ab_dist *d, const char *text);
/* Completes *d for keys 0 … count-1; count > 0. */
void ab_dist_prepare(struct ab_dist *d, uint64_t count);
/* sequence is the position of AB_SEQUENTIAL, ignored otherwise. */
uint64_t ab_dist_draw(const struct ab_dist *d, struct ab_rng *r, uint64_t sequence);

enum { AB_SIZE_CHOICES_MAX = 32 };

/* A size: "32", a range "16-1024" (evenly), or a weighted list of both "16-64:9,4096:1". */
struct ab_size {
    int count;
    struct {
        uint32_t low, high;
        double up_to; /* cumulated weight, the last is 1 */
    } choice[AB_SIZE_CHOICES_MAX];
    uint32_t max;
    bool fixed;
};

bool ab_size_parse(struct ab_size *s, const char *text);
static inline void ab_size_fix(struct ab_size *s, uint32_t bytes)
{
    *s = (struct ab_size){.count = 1, .choice = {{bytes, bytes, 1.0}}, .max = bytes, .fixed = true};
}
/* The size that belongs to a random number: the same number always gives the same size. */
uint32_t ab_size_of(const struct ab_size *s, uint64_t random);

#endif
