#include "text.h"

#include <string.h>

void text_bytes(struct text *text, const char *bytes, size_t length) {
  size_t room = text->capacity - text->length;
  if (length > room)
    length = room;
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
}

void text_string(struct text *text, const char *string) {
  text_bytes(text, string, strlen(string));
}

/* `value` in decimal with at least `width` digits. */
static void add_digits(struct text *text, uint64_t value, int width) {
  char digits[20];
  int count = 0;
  do {
    digits[sizeof digits - 1 - (size_t)count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0 || count < width);
  text_bytes(text, digits + sizeof digits - count, (size_t)count);
}

void text_number(struct text *text, int64_t number) {
  uint64_t magnitude = (uint64_t)number;
  if (number < 0) {
    text_string(text, "-");
    magnitude = 0 - magnitude;
  }
  add_digits(text, magnitude, 1);
}

void text_time(struct text *text, const struct timespec *when) {
  /* gmtime() would read the time zone files into memory. Years are counted from March, so that the leap day comes last; 719468 days
   * lie between 0000-03-01 and 1970-01-01, and an era is 400 years. */
  int64_t seconds = when->tv_sec;
  int64_t days = seconds / 86400 + 719468;
  int64_t second_of_day = seconds % 86400;
  int64_t era = days / 146097;
  int64_t day_of_era = days % 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t march_month = (5 * day_of_year + 2) / 153;
  int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  int64_t year = era * 400 + year_of_era + (month <= 2);

  add_digits(text, (uint64_t)year, 4);
  text_string(text, "-");
  add_digits(text, (uint64_t)month, 2);
  text_string(text, "-");
  add_digits(text, (uint64_t)day, 2);
  text_string(text, "T");
  add_digits(text, (uint64_t)(second_of_day / 3600), 2);
  text_string(text, ":");
  add_digits(text, (uint64_t)(second_of_day / 60 % 60), 2);
  text_string(text, ":");
  add_digits(text, (uint64_t)(second_of_day % 60), 2);
  text_string(text, ".");
  add_digits(text, (uint64_t)when->tv_nsec, 9);
  text_string(text, "Z");
}

/* Number of bytes of the valid UTF-8 sequence at `bytes` (no surrogates, nothing overlong, nothing above U+10FFFF), 0 when there is none. */
static size_t sequence_length(const unsigned char *bytes, size_t available) {
  unsigned char first = bytes[0];
  if (first < 0x80)
    return 1;
  if (first < 0xc2 || first > 0xf4)
    return 0;
  size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (available < length)
    return 0;
  unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (bytes[1] < low || bytes[1] > high)
    return 0;
  for (size_t index = 2; index < length; index++)
    if ((bytes[index] & 0xc0) != 0x80)
      return 0;
  return length;
}

static int is_plain(unsigned char byte) {
  return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

static void add_escaped(struct text *text, unsigned char byte) {
  static const char hexadecimal[] = "0123456789abcdef";
  switch (byte) {
  case '"':
    text_string(text, "\\\"");
    return;
  case '\\':
    text_string(text, "\\\\");
    return;
  case '\n':
    text_string(text, "\\n");
    return;
  case '\r':
    text_string(text, "\\r");
    return;
  case '\t':
    text_string(text, "\\t");
    return;
  default:
    break;
  }
  char escape[6] = {'\\', 'u', '0', '0', hexadecimal[byte >> 4], hexadecimal[byte & 15]};
  text_bytes(text, escape, sizeof escape);
}

void text_json(struct text *text, const char *bytes, size_t length) {
  const unsigned char *position = (const unsigned char *)bytes;
  const unsigned char *end = position + length;
  while (position < end) {
    const unsigned char *start = position;
    while (position < end && is_plain(*position))
      position++;
    if (position > start)
      text_bytes(text, (const char *)start, (size_t)(position - start));
    if (position == end)
      return;
    size_t sequence = sequence_length(position, (size_t)(end - position));
    if (sequence == 0) {
      text_string(text, "\\ufffd");
      position++;
    } else if (sequence == 1) {
      if (*position == 0x7f)
        text_bytes(text, (const char *)position, 1);
      else
        add_escaped(text, *position);
      position++;
    } else if (sequence == 3 && position[0] == 0xe2 && position[1] == 0x80 && (position[2] | 1) == 0xa9) {
      /* U+2028 and U+2029 end a line in JavaScript. */
      text_string(text, position[2] == 0xa8 ? "\\u2028" : "\\u2029");
      position += 3;
    } else {
      text_bytes(text, (const char *)position, sequence);
      position += sequence;
    }
  }
}

size_t text_whole_characters(const char *bytes, size_t length) {
  for (size_t back = 1; back <= 3 && back <= length; back++) {
    unsigned char byte = (unsigned char)bytes[length - back];
    if ((byte & 0xc0) == 0x80)
      continue;
    size_t wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return wanted > back && back < length ? length - back : length;
  }
  return length;
}
