#include "scan.h"

size_t logscan_count_lines(const unsigned char *buf, size_t len)
{
    size_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += buf[i] == '\n';
    return lines;
}

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

size_t logscan_find_word(const unsigned char *buf, size_t len, const unsigned char *word, size_t word_len)
{
    if (word_len == 0 || word_len > len)
        return len;
    for (size_t at = 0; at + word_len <= len; at++) {
        size_t same = 0;
        while (same < word_len && lower(buf[at + same]) == word[same])
            same++;
        if (same == word_len)
            return at;
    }
    return len;
}
