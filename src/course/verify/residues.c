/* Numbers of any size: m 2^e beside residues modulo three primes.
 *
 * Sums, products, quotients and whole powers keep the residues, so that 2^2003 and 2^2003 + 1, or
 * 1/2004! and 1/2006!, are told apart without a digit being written down: two rational numbers that
 * agree modulo three primes of 32 bits, and in their first nine digits, are taken as the same. Each
 * prime is 1 modulo 4, so that i has a residue too. Variables, pi and e have residues by chance: a
 * polynomial identity that holds for those holds [Schwartz 1980, Zippel 1979]. */
#include <float.h>
#include <math.h>

#include "base/numbers.h"
#include "course/verify/verify.h"

static const uint32_t primes[KD__PRIMES] = { 4289967281u, 4289189461u, 4288411529u };
static const uint32_t imaginary[KD__PRIMES] = { 1071151813u, 774233337u, 4030797286u };
enum { LARGEST_EXPONENT = 1 << 30 };

static uint32_t times(uint32_t a, uint32_t b, int k)
{
    return (uint32_t)((uint64_t)a * b % primes[k]);
}
static uint32_t plus(uint32_t a, uint32_t b, int k)
{
    return (uint32_t)(((uint64_t)a + b) % primes[k]);
}

static uint32_t raised(uint32_t a, uint64_t n, int k)
{
    uint32_t product = 1;
    for (; n; n >>= 1) {
        if (n & 1) product = times(product, a, k);
        a = times(a, a, k);
    }
    return product;
}

static double largest(double _Complex x) { return fmax(fabs(creal(x)), fabs(cimag(x))); }
static double _Complex scaled(double _Complex x, int by)
{
    return kd__complex(ldexp(creal(x), by), ldexp(cimag(x), by));
}
static int clipped(int64_t e) { return e < -4000 ? -4000 : e > 4000 ? 4000 : (int)e; }

kd__value kd__value_failed(void) { return (kd__value){ .failed = 1 }; }

/* m between 1/2 and 1 again. */
static kd__value settled(kd__value a)
{
    int shift;
    const double top = largest(a.m);
    if (a.failed || !isfinite(top) || !isfinite(a.size)) return kd__value_failed();
    if (top == 0) return a;
    frexp(top, &shift);
    a.m = scaled(a.m, -shift);
    a.size = ldexp(a.size, -shift);
    a.e += shift;
    if (a.e > LARGEST_EXPONENT || a.e < -LARGEST_EXPONENT) return kd__value_failed();
    return a;
}

kd__value kd__value_plain(double _Complex x)
{
    return settled((kd__value){ .m = x, .size = largest(x) });
}

kd__value kd__value_whole(int64_t n)
{
    kd__value v = kd__value_plain((double)n);
    v.exact = 1;
    for (int k = 0; k < KD__PRIMES; k++)
        v.residue[k] = (uint32_t)((n % primes[k] + primes[k]) % primes[k]);
    return v;
}

kd__value kd__value_imaginary(void)
{
    kd__value v = kd__value_plain(I);
    v.exact = 1;
    memcpy(v.residue, imaginary, sizeof imaginary);
    return v;
}

int kd__value_is_zero(kd__value a)
{
    if (a.exact)
        return !a.residue[0] && !a.residue[1] && !a.residue[2] && largest(a.m) <= 1e-6 * a.size;
    return largest(a.m) <= 1e-13 * a.size;
}

static kd__value aligned(kd__value a, int64_t e)
{
    const int by = clipped(a.e - e);
    a.m = scaled(a.m, by);
    a.size = ldexp(a.size, by);
    a.e = e;
    return a;
}

kd__value kd__value_add(kd__value a, kd__value b)
{
    if (a.failed || b.failed) return kd__value_failed();
    const int64_t e = a.size == 0 ? b.e : b.size == 0 ? a.e : kd__max(a.e, b.e);
    kd__value v = { .exact = a.exact && b.exact, .decimal = a.decimal || b.decimal, .e = e };
    a = aligned(a, e);
    b = aligned(b, e);
    v.m = a.m + b.m;
    v.size = a.size + b.size;
    for (int k = 0; k < KD__PRIMES; k++) v.residue[k] = plus(a.residue[k], b.residue[k], k);
    return settled(v);
}

kd__value kd__value_negative(kd__value a)
{
    a.m = -a.m;
    for (int k = 0; k < KD__PRIMES; k++) a.residue[k] = a.residue[k] ? primes[k] - a.residue[k] : 0;
    return a;
}

kd__value kd__value_multiply(kd__value a, kd__value b)
{
    if (a.failed || b.failed) return kd__value_failed();
    kd__value v = { .exact = a.exact && b.exact,
                    .decimal = a.decimal || b.decimal,
                    .e = a.e + b.e };
    v.m = a.m * b.m;
    v.size = a.size * b.size;
    for (int k = 0; k < KD__PRIMES; k++) v.residue[k] = times(a.residue[k], b.residue[k], k);
    return settled(v);
}

kd__value kd__value_inverse(kd__value a)
{
    if (a.failed || largest(a.m) == 0 || kd__value_is_zero(a)) return kd__value_failed();
    kd__value v = { .exact = a.exact, .decimal = a.decimal != 0, .e = -a.e };
    v.m = 1 / a.m;
    v.size = largest(v.m) * (a.size / largest(a.m));
    for (int k = 0; k < KD__PRIMES; k++) {
        if (!a.residue[k]) v.exact = 0;
        v.residue[k] = raised(a.residue[k], primes[k] - 2, k);
    }
    return settled(v);
}

/* ---- decimals ---- */

static kd__value ten_to(int64_t n)
{
    const kd__value v = kd__value_power(kd__value_whole(10), kd__value_whole(n < 0 ? -n : n));
    return n < 0 ? kd__value_inverse(v) : v;
}

kd__value kd__value_share(kd__value a, int32_t places)
{
    kd__value share = kd__value_multiply(a, ten_to(-places));
    share.decimal = a.decimal;
    share.places = a.places + places;
    return share;
}

/* Digits with at most one point, and an exponent (e5). The first seventeen that count make m; all
 * make the residues. */
kd__value kd__value_digits(const char *at, const char *end)
{
    kd__value v = kd__value_whole(0);
    int64_t places = 0, power = 0;
    int point = 0;
    const kd__value ten = kd__value_whole(10);
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = 1;
            continue;
        }
        v = kd__value_add(kd__value_multiply(v, ten), kd__value_whole(*at - '0'));
        places += point;
    }
    if (at < end) {
        const int negative = at + 1 < end && at[1] == '-';
        for (at += at + 1 < end && !kd__is_digit(at[1]) ? 2 : 1; at < end && power < 1000000; at++)
            power = power * 10 + (*at - '0');
        if (negative) power = -power;
    }
    v = kd__value_multiply(v, ten_to(power - places));
    v.decimal = places > 0 ? 2 : 0;
    v.places = (int32_t)(places - power);
    return v;
}

/* ---- names ---- */

static uint64_t mixed(uint64_t h)
{
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9ULL;
    return h ^ (h >> 32);
}

/* Between .6 and 1.9, or between -.7 and -1.7: never a round number. */
kd__value kd__value_named(const char *name, int64_t bytes, int trial)
{
    uint64_t h = 0xcbf29ce484222325ULL + (uint64_t)trial * 0x9e3779b97f4a7c15ULL;
    for (int64_t i = 0; i < bytes; i++)
        if (!strchr("{}\x01\x0d", name[i]))
            h = (h ^ (unsigned char)name[i]) * 0x100000001b3ULL; /* x_{2} is x_2 */
    h = mixed(h);
    const double unit = (double)(h >> 11) * 0x1p-53;
    kd__value v = kd__value_plain(trial % 2 ? -(0.7 + unit) : 0.6 + 1.3 * unit);
    v.exact = 1;
    for (int k = 0; k < KD__PRIMES; k++) {
        h = mixed(h + 0x9e3779b97f4a7c15ULL);
        v.residue[k] = (uint32_t)(h % primes[k]);
    }
    return v;
}

static kd__value constant(const char *name, double x)
{
    kd__value v = kd__value_named(name, (int64_t)strlen(name), 0);
    const kd__value plain = kd__value_plain(x);
    v.m = plain.m;
    v.e = plain.e;
    v.size = plain.size;
    return v;
}

kd__value kd__value_pi(void) { return constant("\\pi", 3.14159265358979323846); }
kd__value kd__value_euler(void) { return constant("\\e", 2.71828182845904523536); }

/* ---- powers ---- */

int kd__value_number(kd__value a, double _Complex *x)
{
    if (a.failed || a.e > 1000) return 0;
    *x = scaled(a.m, clipped(a.e));
    return 1;
}

int kd__value_is_whole(kd__value a, int64_t *n)
{
    double _Complex x;
    if (!kd__value_number(a, &x) || a.e > 53 || fabs(cimag(x)) > 1e-9 * fabs(creal(x))) return 0;
    *n = (int64_t)llround(creal(x));
    if (!a.exact) return fabs(creal(x) - (double)*n) <= 1e-9;
    const kd__value whole = kd__value_whole(*n);
    return !memcmp(whole.residue, a.residue, sizeof a.residue);
}

kd__value kd__value_log(kd__value a)
{
    if (a.failed || kd__value_is_zero(a)) return kd__value_failed();
    kd__value v = kd__value_plain(clog(a.m) + (double)a.e * 0.69314718055994530942);
    v.decimal = a.decimal != 0;
    v.size = fmax(v.size, ldexp(1, clipped(-v.e))); /* near 1 the logarithm has lost digits */
    return v;
}

/* e^x of a plain x, whose real part becomes an exponent of two. */
static kd__value exponential(kd__value a)
{
    double _Complex x;
    if (!kd__value_number(a, &x) || fabs(creal(x)) > 1e9) return kd__value_failed();
    const double shift = floor(creal(x) / 0.69314718055994530942);
    kd__value v = kd__value_plain(cexp(x - shift * 0.69314718055994530942));
    v.e += (int64_t)shift;
    v.decimal = a.decimal != 0;
    return settled(v);
}

static kd__value whole_power(kd__value a, int64_t n)
{
    kd__value v = kd__value_whole(1);
    for (uint64_t left = (uint64_t)(n < 0 ? -n : n); left; left >>= 1) {
        if (left & 1) v = kd__value_multiply(v, a);
        if (left > 1) a = kd__value_multiply(a, a);
    }
    return n < 0 ? kd__value_inverse(v) : v;
}

kd__value kd__value_power(kd__value a, kd__value b)
{
    int64_t n;
    if (a.failed || b.failed) return kd__value_failed();
    if (b.exact && kd__value_is_whole(b, &n))
        return n <= 0 && kd__value_is_zero(a) ? kd__value_failed() : whole_power(a, n);
    if (kd__value_is_zero(a))
        return creal(b.m) > 0 && cimag(b.m) == 0 ? kd__value_plain(0) : kd__value_failed();
    kd__value v = exponential(kd__value_multiply(b, kd__value_log(a)));
    v.decimal = a.decimal || b.decimal;
    return v;
}

/* ---- equality ---- */

/* log2 |a| */
static double size_of(kd__value a)
{
    return largest(a.m) == 0 ? -INFINITY : log2(cabs(a.m)) + (double)a.e;
}

/* Is the decimal fraction (of two: the shorter) the other one rounded, or cut off, after its last
 * digit? `off`: log2 of their difference. */
static int agrees_to_last_digit(kd__value a, kd__value b, double off)
{
    if (a.decimal != 2 && b.decimal != 2) return 1;
    const int first = b.decimal != 2 || (a.decimal == 2 && a.places <= b.places);
    const kd__value given = first ? a : b, other = first ? b : a;
    const double unit = -3.32192809488736234787 * given.places + 1e-9;
    if (off <= unit - 1) return 1;
    return off < unit - 1e-6 && size_of(given) < size_of(other);
}

/* 1: equal, 0: not, -1: residues do not tell. */
static int same_exactly(kd__value a, kd__value b)
{
    if (!a.exact || !b.exact) return -1;
    if (!memcmp(a.residue, b.residue, sizeof a.residue)) return 1;
    return a.decimal || b.decimal ? -1 : 0;
}

/* Roots and powers are computed to some digits; a whole number or a fraction has all of its own,
 * and is no root because it is near. */
static double computed(kd__value a, kd__value b) { return a.exact || b.exact ? 1e-11 : 1e-9; }

int kd__value_same(kd__value a, kd__value b, double tolerance)
{
    if (a.failed || b.failed) return 0;
    const int exactly = same_exactly(a, b);
    if (exactly == 0) return 0;
    const double top = fmax(size_of(a), size_of(b));
    const double off = size_of(kd__value_add(a, kd__value_negative(b)));
    const double noise = fmax(log2(a.size > 0 ? a.size : DBL_MIN) + (double)a.e,
                              log2(b.size > 0 ? b.size : DBL_MIN) + (double)b.e) +
                         log2(1e-13);
    if (off <= noise || off <= top + log2(1e-12)) return 1;
    if (exactly == 1) return off <= top + log2(1e-9);
    if (!agrees_to_last_digit(a, b, off)) return 0;
    const double share = a.decimal || b.decimal ? tolerance : computed(a, b);
    return off <= top + log2(share * (1 + 1e-9));
}
