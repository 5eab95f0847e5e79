/* Text built in a fixed buffer, without stdio: the monitor must stay small, and may not allocate when memory is short. */
#ifndef OCIRUN_TEXT_H
#define OCIRUN_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct text {
  char *bytes;
  size_t length;
  size_t capacity; /* what does not fit is cut off; callers size their buffers so that all fits */
};

/* The most bytes that text_json makes of one byte. */
#define TEXT_JSON_GROWTH 6

void text_bytes(struct text *text, const char *bytes, size_t length);
void text_string(struct text *text, const char *string);
void text_number(struct text *text, int64_t number);
/* `when` as RFC 3339 in UTC with nine digits of nanoseconds, which is what Go reads and docker writes. */
void text_time(struct text *text, const struct timespec *when);
/* `bytes` as the inside of a JSON string, escaped as Go's encoder does: < > & too, and U+FFFD for what is not UTF-8. */
void text_json(struct text *text, const char *bytes, size_t length);

/* How much of `bytes` can be cut off at its end without splitting a UTF-8 sequence: `length` minus 0 to 3. */
size_t text_whole_characters(const char *bytes, size_t length);

#endif
