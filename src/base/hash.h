/* Content keys and checksums. */
#ifndef KD_BASE_HASH_H
#define KD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* MurmurHash3 x64 128 with seed 0 (A. Appleby, public domain): the pinned key of a sample's
 * content. */
void kd__hash128(const void *data, size_t size, uint64_t key[2]);
/* CRC-32 (IEEE 802.3), continued from `crc` (0 to begin). */
uint32_t kd__crc32(uint32_t crc, const void *data, size_t size);

#endif
