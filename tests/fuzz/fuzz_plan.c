/* Fuzz target: the decoder of plans. What it accepts is read to its last byte, so that a length it should not have believed is noticed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header's length is set right: otherwise nearly every input would end there. */
static void repair(unsigned char *bytes, size_t size) {
  uint32_t length = (uint32_t)size, version = PLAN_VERSION;

  memcpy(bytes, PLAN_MAGIC, 8);
  memcpy(bytes + 8, &version, sizeof version);
  memcpy(bytes + 12, &length, sizeof length);
}

static uint64_t read_all(const struct plan *plan) {
  uint64_t sum = 0;

  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];

    for (uint32_t number = 0; number < step->integer_count; number++)
      sum += step->integers[number];
    for (uint32_t number = 0; number < step->string_count; number++)
      sum += strlen(step->strings[number].bytes) + (unsigned char)step->strings[number].bytes[step->strings[number].length];
  }
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *bytes = malloc(size + 1); /* aligned, and ending where the plan ends, for the sanitizer to watch */
  struct failure failure;
  struct plan plan;
  volatile uint64_t sum = 0;

  if (bytes == NULL)
    return 0;
  memcpy(bytes, data, size);
  if (size >= 24 && (data[0] & 1) == 0)
    repair(bytes, size);
  if (plan_decode(bytes, size, &plan, &failure) == 0) {
    sum = read_all(&plan);
    plan_free(&plan);
  }
  (void)sum;
  free(bytes);
  return 0;
}
