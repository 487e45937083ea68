/* Random numbers from a counter: (seed, stream, position) gives the same number whoever asks, in
 * any order. Threefry would be stronger; SplitMix64's finalizer over a counter passes BigCrush and
 * costs two multiplications. */
#ifndef KD_MATH_RANDOM_H
#define KD_MATH_RANDOM_H

#include <stdint.h>

static inline uint64_t kd__mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* A stream's key from up to three numbers. */
static inline uint64_t kd__stream(uint64_t seed, uint64_t a, uint64_t b)
{
    return kd__mix(kd__mix(kd__mix(seed + 0x9e3779b97f4a7c15ULL) ^ (a + 0x632be59bd9b4e019ULL)) ^
                   (b + 0xd1b54a32d192ed03ULL));
}

static inline uint64_t kd__random(uint64_t stream, uint64_t position)
{
    return kd__mix(stream + (position + 1) * 0x9e3779b97f4a7c15ULL);
}

/* Uniform in [0, 1). */
static inline double kd__uniform(uint64_t stream, uint64_t position)
{
    return (double)(kd__random(stream, position) >> 11) * 0x1p-53;
}

/* Uniform in 0 .. bound - 1 (bound below 2^32; the bias is below 2^-32). */
static inline uint64_t kd__below(uint64_t stream, uint64_t position, uint64_t bound)
{
    return ((kd__random(stream, position) >> 32) * bound) >> 32;
}

#endif
