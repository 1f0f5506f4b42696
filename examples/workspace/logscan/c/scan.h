#ifndef LOGSCAN_SCAN_H
#define LOGSCAN_SCAN_H

#include <stddef.h>

/* Number of '\n' in buf[0..len]. */
size_t logscan_count_lines(const unsigned char *buf, size_t len);

/* Offset of the first byte of `word` (ASCII, lower case) in buf[0..len], case ignored;
   `len` if it does not occur. */
size_t logscan_find_word(const unsigned char *buf, size_t len, const unsigned char *word, size_t word_len);

#endif
