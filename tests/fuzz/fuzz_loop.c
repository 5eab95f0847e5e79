/* Where there is no libFuzzer: a loop that changes seeds blindly. `fuzz_x SECONDS SEED...`; the input at hand is kept in ./crash. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 16 };

struct seed {
  uint8_t *bytes;
  size_t size;
};

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t chance(uint64_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return below == 0 ? 0 : state % below;
}

static struct seed read_seed(const char *path) {
  struct seed seed = {malloc(LARGEST), 0};
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 || seed.bytes == NULL ? -1 : read(file, seed.bytes, LARGEST);

  if (size < 0) {
    perror(path);
    exit(2);
  }
  close(file);
  seed.size = (size_t)size;
  return seed;
}

/* Change some bytes; sometimes cut the end off, or copy a part over another. */
static size_t change(uint8_t *bytes, size_t size) {
  if (size == 0)
    return 0;
  for (uint64_t count = 1 + chance(8); count > 0; count--) {
    size_t at = chance(size), length = chance(size - at), from = chance(size - length + 1);

    switch (chance(8)) {
    case 0:
      memmove(bytes + at, bytes + from, length);
      break;
    case 1:
      memset(bytes + at, (int)chance(256), length % 16);
      break;
    case 2:
      bytes[at] = (uint8_t)"0179 \0\xff\x80=/.\nxgLKS"[chance(17)];
      break;
    case 3:
      size = chance(16) == 0 ? at + 1 : size;
      break;
    default:
      bytes[at] ^= (uint8_t)(1u << chance(8));
    }
  }
  return size;
}

int main(int count, char **words) {
  time_t end = time(NULL) + (count > 1 ? atoi(words[1]) : 10);
  int seeds = count - 2, crash = open("crash", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  struct seed *all = calloc((size_t)(seeds > 0 ? seeds : 1), sizeof *all);
  static uint8_t input[LARGEST];
  uint64_t runs = 0;

  if (seeds <= 0 || all == NULL || crash < 0)
    return 2;
  for (int index = 0; index < seeds; index++)
    all[index] = read_seed(words[index + 2]);
  for (; time(NULL) < end; runs++) {
    const struct seed *seed = &all[chance((uint64_t)seeds)];
    size_t size = seed->size;

    memcpy(input, seed->bytes, size);
    size = change(input, size);
    if (ftruncate(crash, 0) < 0 || pwrite(crash, input, size, 0) < 0)
      return 2;
    LLVMFuzzerTestOneInput(input, size);
  }
  unlink("crash");
  printf("%llu runs, nothing found\n", (unsigned long long)runs);
  return 0;
}
