/* glob.c - see glob.h.
 *
 * A star first takes nothing; when the rest fails it takes one byte more and the rest is tried
 * again. Only the last star passed is ever retried: had an earlier one to take more, the pattern
 * between the two would have to fit further on, and the last star could have taken those bytes.
 * So the work is at most pattern length times text length, without recursion.
 *
 * Redis recurses per run of stars and gives up at a thousand; what it calls no match there is no
 * match here (GLOB_STARS_MAX). As there, nothing but the empty pattern matches an empty text. */
#include "core/glob.h"

enum { GLOB_STARS_MAX = 1000 };

/* A byte's place in the order that ranges go by: signed, unless case is ignored, as in Redis. */
static int fold(char c, bool ignore_case)
{
    if (!ignore_case) {
        return (signed char)c;
    }
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* A class: *at stands behind its '['; afterwards behind its ']', or at the end if there is none.
 * An escaped byte is compared with its case, and ranges are folded after their ends were put in
 * order, as Redis has it. */
static bool match_class(struct slice pattern, size_t *at, char c, bool ignore_case)
{
    const char *p = pattern.ptr;
    size_t i = *at;
    bool negated = i < pattern.len && p[i] == '^';
    bool found = false;

    i += negated;
    while (i < pattern.len && p[i] != ']') {
        size_t left = pattern.len - i;
        if (p[i] == '\\' && left >= 2) {
            found |= p[i + 1] == c;
            i += 2;
        } else if (left >= 3 && p[i + 1] == '-') {
            bool ordered = (signed char)p[i] <= (signed char)p[i + 2];
            char low = ordered ? p[i] : p[i + 2];
            char high = ordered ? p[i + 2] : p[i];
            int folded = fold(c, ignore_case);
            found |= folded >= fold(low, ignore_case) && folded <= fold(high, ignore_case);
            i += 3;
        } else {
            found |= fold(p[i], ignore_case) == fold(c, ignore_case);
            i++;
        }
    }
    *at = i < pattern.len ? i + 1 : i;
    return found != negated;
}

/* One element of the pattern, not a star, against one byte. */
static bool match_one(struct slice pattern, size_t *at, char c, bool ignore_case)
{
    char p = pattern.ptr[(*at)++];
    if (p == '?') {
        return true;
    }
    if (p == '[') {
        return match_class(pattern, at, c, ignore_case);
    }
    if (p == '\\' && *at < pattern.len) {
        p = pattern.ptr[(*at)++];
    }
    return fold(p, ignore_case) == fold(c, ignore_case);
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
    size_t p = 0, t = 0;
    size_t retry_p = 0, retry_t = 0; /* behind the last star; where the text after it begins */
    int stars = 0;

    if (text.len == 0) {
        return pattern.len == 0;
    }
    for (;;) {
        if (p < pattern.len && t < text.len && pattern.ptr[p] == '*') {
            while (p < pattern.len && pattern.ptr[p] == '*') {
                p++;
            }
            if (p == pattern.len) {
                return true;
            }
            if (++stars > GLOB_STARS_MAX) {
                return false;
            }
            retry_p = p;
            retry_t = t;
            continue;
        }
        if (p < pattern.len && t < text.len && match_one(pattern, &p, text.ptr[t], ignore_case)) {
            t++;
            continue;
        }
        if (t == text.len) {
            /* A longer start would leave even less for the rest of the pattern. */
            while (p < pattern.len && pattern.ptr[p] == '*') {
                p++;
            }
            if (p == pattern.len) {
                return true;
            }
        }
        if (stars == 0 || ++retry_t >= text.len) {
            return false;
        }
        p = retry_p;
        t = retry_t;
    }
}

bool glob_is_literal(struct slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (memchr("*?[\\", pattern.ptr[i], 4)) {
            return false;
        }
    }
    return true;
}
