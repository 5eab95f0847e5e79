/* The decoder of plans. It believes nothing: every length, count and value is checked before a step can see it. */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "steps read their integers in place, so the machine must be little endian");

enum { HEADER_BYTES = 24, STEP_HEADER_BYTES = 16 };

/* What each kind takes, one letter a field; a last letter followed by '*' stands for any number of fields.
 *   integers  b 0 or 1 | u 32 bits | s 32 bits, signed | q 64 bits | i user or group id | o the same, or -1 for "leave it"
 *             d descriptor, not one of 0-4 | l number of lower directories
 *   strings   p path: not empty, shorter than PATH_MAX | t text | x bytes that may hold NULs
 * tests/unit/runtime/test_steps.py compares the counts with ocirun/runtime/steps.py. */
struct signature {
  uint32_t kind;
  const char *integers;
  const char *strings;
};

static const struct signature signatures[] = {
    {STEP_MONITOR, "uqq", "ttt"},
    {STEP_AFTER_EXIT_REMOVE, "", "p"},
    {STEP_AFTER_EXIT_DISCARD, "", "pp"},
    {STEP_AFTER_EXIT_VOLUME, "", "ppp"},
    {STEP_JOIN_NAMESPACE, "u", "p"},
    {STEP_JOIN_PROCESS, "du", ""},
    {STEP_CLONE, "u", ""},
    {STEP_ID_MAP_WRITE, "b", "t"},
    {STEP_ID_MAP_HELPER, "b", "pt*"},
    {STEP_DENY_SETGROUPS, "", ""},
    {STEP_CGROUP_ENTER, "", "p"},
    {STEP_BECOME, "ii", ""},
    {STEP_PROPAGATION, "u", "p"},
    {STEP_OVERLAY, "ub", "ptttp*"},
    {STEP_OPEN_ROOT, "b", "p"},
    {STEP_MOUNT, "uuu", "ptpt"},
    {STEP_BIND, "uuuuuu", "pp"},
    {STEP_MASK, "", "p"},
    {STEP_READONLY_PATH, "", "p"},
    {STEP_MAKE_SYMLINK, "", "pp"},
    {STEP_MAKE_NODE, "uuuii", "p"},
    {STEP_BIND_DEVICE, "", "pp"},
    {STEP_MAKE_DIRECTORY, "uoo", "p"},
    {STEP_CONSOLE, "uu", ""},
    {STEP_POPULATE, "", "pp"},
    {STEP_PREPARE_DIRECTORY, "uoo", "p"},
    {STEP_PIVOT, "b", ""},
    {STEP_READONLY_ROOT, "", "p*"},
    {STEP_LOOPBACK, "", ""},
    {STEP_HOSTNAME, "", "t"},
    {STEP_DOMAINNAME, "", "t"},
    {STEP_SYSCTL, "", "pt"},
    {STEP_OOM_SCORE, "s", ""},
    {STEP_RLIMIT, "uqq", ""},
    {STEP_UMASK, "u", ""},
    {STEP_SESSION_KEYRING, "", "t"},
    {STEP_WORKING_DIRECTORY, "boo", "p"},
    {STEP_CREDENTIALS, "iiqqqqq", "t*"},
    {STEP_EXEC_LABEL, "", "pt"},
    {STEP_NO_NEW_PRIVILEGES, "", ""},
    {STEP_SECCOMP, "u", "x"},
    {STEP_PARENT_DEATH_SIGNAL, "u", ""},
    {STEP_COMMAND, "ub", "t*"},
    {STEP_UNTAR, "duu", "pp*"},
    {STEP_TAR_CHANGES, "dul*", "t*"},
    {STEP_LIST_CHANGES, "dul*", "t*"},
    {STEP_REMOVE_TREE, "", "p"},
};

int fail_with(struct failure *failure, int error, const char *path) {
  size_t length = strnlen(path, sizeof failure->path - 1);

  failure->error = error;
  memmove(failure->path, path, length);
  failure->path[length] = '\0';
  return -1;
}

int fail(struct failure *failure, const char *path) {
  return fail_with(failure, errno, path);
}

/* What is left to read. `text` is the reason that a failure carries as its path: a malformed plan has no other object. */
struct reader {
  const unsigned char *next;
  size_t left;
};

static uint32_t get_u32(const unsigned char *bytes) {
  uint32_t value;

  memcpy(&value, bytes, sizeof value);
  return value;
}

static const unsigned char *take(struct reader *reader, size_t count) {
  const unsigned char *start = reader->next;

  if (reader->left < count)
    return NULL;
  reader->next += count;
  reader->left -= count;
  return start;
}

static const struct signature *find_signature(uint32_t kind) {
  for (size_t index = 0; index < sizeof signatures / sizeof *signatures; index++)
    if (signatures[index].kind == kind)
      return &signatures[index];
  return NULL;
}

static int count_fits(const char *letters, uint32_t count) {
  size_t length = strlen(letters);

  if (length != 0 && letters[length - 1] == '*')
    return count >= length - 2;
  return count == length;
}

/* The letter of field `index`: the letter before '*' stands for all fields from its place on. */
static char letter_at(const char *letters, uint32_t index) {
  size_t length = strlen(letters);

  if (length != 0 && letters[length - 1] == '*' && index >= length - 2)
    return letters[length - 2];
  return letters[index];
}

static int integer_fits(char letter, uint64_t value) {
  switch (letter) {
  case 'b':
    return value <= 1;
  case 'u':
    return value <= UINT32_MAX;
  case 's':
    return (int64_t)value >= INT32_MIN && (int64_t)value <= INT32_MAX;
  case 'i':
    return value < UINT32_MAX;
  case 'o':
    return value < UINT32_MAX || value == UINT64_MAX;
  case 'd':
    return value > 4 && value <= INT_MAX;
  case 'l':
    return value <= PLAN_MAX_STEPS;
  default:
    return 1;
  }
}

static int string_fits(char letter, const unsigned char *bytes, uint32_t length) {
  if (letter != 'x' && memchr(bytes, '\0', length) != NULL)
    return 0;
  return letter != 'p' || (length > 0 && length < PATH_MAX);
}

static int read_string(struct reader *reader, char letter, struct plan_string *string, const char **reason) {
  const unsigned char *head = take(reader, 4), *bytes, *padding;
  uint32_t length, zeros;

  *reason = "a string is cut off";
  if (head == NULL)
    return -1;
  length = get_u32(head);
  zeros = 8 - (4 + length % 8) % 8;
  bytes = take(reader, length);
  padding = bytes == NULL ? NULL : take(reader, zeros);
  if (padding == NULL)
    return -1;
  *reason = "a string is not padded with zeros";
  for (uint32_t index = 0; index < zeros; index++)
    if (padding[index] != 0)
      return -1;
  *reason = "a string holds what it may not";
  if (!string_fits(letter, bytes, length))
    return -1;
  string->bytes = (const char *)bytes;
  string->length = length;
  return 0;
}

/* Read one step. With `strings` NULL nothing is stored: the first pass only checks and counts. */
static int read_step(struct reader *reader, struct step *step, struct plan_string *strings, const char **reason) {
  const unsigned char *head = take(reader, STEP_HEADER_BYTES);
  const struct signature *signature;
  struct plan_string unused;

  *reason = "a step is cut off";
  if (head == NULL)
    return -1;
  *step = (struct step){get_u32(head), get_u32(head + 8), get_u32(head + 12), NULL, strings};
  *reason = "a step of unknown kind";
  signature = find_signature(step->kind);
  if (signature == NULL || get_u32(head + 4) != 0)
    return -1;
  *reason = "a step with a wrong number of fields";
  if (!count_fits(signature->integers, step->integer_count) || !count_fits(signature->strings, step->string_count))
    return -1;
  *reason = "the integers of a step are cut off";
  step->integers = (const uint64_t *)(const void *)take(reader, (size_t)step->integer_count * 8);
  if (step->integers == NULL)
    return -1;
  *reason = "an integer is out of range";
  for (uint32_t index = 0; index < step->integer_count; index++)
    if (!integer_fits(letter_at(signature->integers, index), step->integers[index]))
      return -1;
  for (uint32_t index = 0; index < step->string_count; index++) {
    struct plan_string *string = strings == NULL ? &unused : &strings[index];

    if (read_string(reader, letter_at(signature->strings, index), string, reason) < 0)
      return -1;
  }
  *reason = "a command with more arguments than words";
  if (step->kind == STEP_COMMAND && (step->integers[0] == 0 || step->integers[0] > step->string_count))
    return -1;
  return 0;
}

static int check_header(const unsigned char *bytes, size_t length, uint32_t *step_count, struct failure *failure) {
  failure->step = -1;
  if (((uintptr_t)bytes & 7) != 0)
    return fail_with(failure, EINVAL, "the plan is not aligned to 8 bytes");
  if (length < HEADER_BYTES || memcmp(bytes, PLAN_MAGIC, 8) != 0)
    return fail_with(failure, EINVAL, "this is no plan");
  if (get_u32(bytes + 8) != PLAN_VERSION)
    return fail_with(failure, EINVAL, "the plan has another version than this helper");
  if (length > PLAN_MAX_BYTES)
    return fail_with(failure, E2BIG, "the plan is too long");
  if (get_u32(bytes + 12) != length || get_u32(bytes + 20) != 0)
    return fail_with(failure, EINVAL, "the plan's length is wrong");
  *step_count = get_u32(bytes + 16);
  if (*step_count > PLAN_MAX_STEPS)
    return fail_with(failure, E2BIG, "the plan has too many steps");
  return 0;
}

/* The first pass: is every step sound, and how many strings are there? */
static int check_steps(struct reader reader, uint32_t step_count, size_t *string_count, struct failure *failure) {
  const char *reason = "";
  struct step step;

  for (uint32_t index = 0; index < step_count; index++) {
    failure->step = (int32_t)index;
    if (read_step(&reader, &step, NULL, &reason) < 0)
      return fail_with(failure, EINVAL, reason);
    *string_count += step.string_count;
  }
  failure->step = -1;
  if (reader.left != 0)
    return fail_with(failure, EINVAL, "bytes are left after the last step");
  return 0;
}

int plan_decode(const void *bytes, size_t length, struct plan *plan, struct failure *failure) {
  struct reader reader;
  struct plan_string *strings;
  uint32_t step_count = 0;
  size_t string_count = 0;
  const char *reason = "";

  *plan = (struct plan){0};
  if (check_header(bytes, length, &step_count, failure) < 0)
    return -1;
  reader = (struct reader){(const unsigned char *)bytes + HEADER_BYTES, length - HEADER_BYTES};
  if (check_steps(reader, step_count, &string_count, failure) < 0)
    return -1;
  plan->storage = calloc(1, step_count * sizeof(struct step) + string_count * sizeof(struct plan_string) + 1);
  if (plan->storage == NULL)
    return fail_with(failure, ENOMEM, "");
  plan->steps = plan->storage;
  plan->step_count = step_count;
  strings = (struct plan_string *)(void *)(plan->steps + step_count);
  for (uint32_t index = 0; index < step_count; index++) {
    if (read_step(&reader, &plan->steps[index], strings, &reason) < 0) {
      plan_free(plan);
      return fail_with(failure, EINVAL, reason); /* the bytes changed under us */
    }
    strings += plan->steps[index].string_count;
  }
  return 0;
}

void plan_free(struct plan *plan) {
  free(plan->storage);
  *plan = (struct plan){0};
}
