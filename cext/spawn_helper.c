/* Starting the helper. Until exec the child shares our memory, on a stack of its own while we wait, and makes system calls only: threads
 * of Python do not matter to it, and the cost does not grow with the size of the interpreter. */
#include "spawn_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system_calls.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
enum { MAX_DESCRIPTORS = 32, ABOVE_ALL_OF_THESE = 64, STACK_BYTES = 16384, SEAL_ATTEMPTS = 40 };

/* The monitor writes the container's name over its arguments, and has only the room that is there from the start. */
#define ROOM_FOR_NAME "                                                                "

struct start {
  int program;
  char *const *arguments;
  const int *numbers;
  int *sources; /* copies above every number of the helper */
  size_t count;
  bool detached;
  volatile pid_t pid;
  volatile int error;
  _Alignas(16) char stacks[2][STACK_BYTES];
};

/* EBUSY says that the kernel itself still holds some of the pages (the batches of another CPU, on a busy machine). Each call
 * waits for them, up to 150 ms; it is not a state that stays. */
static int add_seals(int descriptor, int seals) {
  int result = -1;

  for (int attempt = 0; attempt < SEAL_ATTEMPTS; attempt++) {
    result = fcntl(descriptor, F_ADD_SEALS, seals);
    if (result == 0 || errno != EBUSY)
      break;
  }
  return result;
}

/* The mode too, where the kernel can (6.3): a container reaches its helper as /proc/self/exe, and could make it no program any more. */
static int seal_with_mode(int descriptor) {
  int result = add_seals(descriptor, SEALS | F_SEAL_EXEC);

  return result < 0 && errno == EINVAL ? add_seals(descriptor, SEALS) : result;
}

int seal_memory(const char *name, const void *bytes, size_t length) {
  auto_close int memory = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

  if (memory < 0 || write_all(memory, bytes, length) < 0 || add_seals(memory, SEALS) < 0)
    return -1;
  return take_descriptor(&memory);
}

static int copy_all(int from, int to) {
  struct stat status;
  off_t done = 0;

  if (fstat(from, &status) < 0)
    return -1;
  while (done < status.st_size) {
    ssize_t count = sendfile(to, from, &done, (size_t)(status.st_size - done));

    if (count < 0 && errno != EINTR)
      return -1;
    if (count == 0) {
      errno = EIO;
      return -1;
    }
  }
  return 0;
}

int seal_program(const char *path) {
  auto_close int file = open(path, O_RDONLY | O_CLOEXEC);
  auto_close int memory = file < 0 ? -1 : memfd_create("ocirun-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

  if (memory < 0 && file >= 0 && errno == EINVAL) /* a kernel before 6.3 does not know MFD_EXEC, and means it always */
    memory = memfd_create("ocirun-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || copy_all(file, memory) < 0 || seal_with_mode(memory) < 0)
    return -1;
  return take_descriptor(&memory);
}

#ifdef OCIRUN_SANITIZE
enum { STANDARD_COUNT = 2 }; /* reports of the sanitizers are to be seen */
#else
enum { STANDARD_COUNT = 3 };
#endif

static int open_standard(void) {
  for (int number = 0; number < STANDARD_COUNT; number++) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || (null != number && dup2(null, number) < 0))
      return -1;
    if (null == number && fcntl(null, F_SETFD, 0) < 0)
      return -1;
  }
  return 0;
}

/* In the child: the descriptors as the helper expects them. Only system calls from here on. */
static int arrange(const struct start *start) {
  unsigned next = 3;

  if (open_standard() < 0)
    return -1;
  for (size_t index = 0; index < start->count; index++)
    if (dup2(start->sources[index], start->numbers[index]) < 0)
      return -1;
  /* Numbers rise: between each and the next, and behind the last, everything closes on exec. */
  for (size_t index = 0; index < start->count; index++) {
    unsigned number = (unsigned)start->numbers[index];

    if (number > next && close_descriptors(next, number - 1, CLOSE_RANGE_ON_EXEC) < 0)
      return -1;
    next = number >= next ? number + 1 : next;
  }
  return close_descriptors(next, UINT_MAX, CLOSE_RANGE_ON_EXEC);
}

/* Run `function` in a child that borrows our memory; returns when it has called exec or ended. */
static pid_t borrow(int (*function)(void *), struct start *start, char *stack) {
  return clone(function, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, start);
}

static int execute(void *argument) {
  struct start *start = argument;
  char *const environment[] = {NULL};

  if (arrange(start) == 0)
    syscall(SYS_execveat, start->program, "", start->arguments, environment, AT_EMPTY_PATH);
  start->error = errno;
  return 127;
}

/* A detached helper is the child of a child that ends at once. */
static int execute_detached(void *argument) {
  struct start *start = argument;

  start->pid = borrow(execute, start, start->stacks[1]);
  if (start->pid < 0)
    start->error = errno;
  return 0;
}

static pid_t start_blocked(struct start *start) {
  pid_t child = borrow(start->detached ? execute_detached : execute, start, start->stacks[0]);

  if (child < 0)
    return -1;
  if (start->detached || start->error != 0)
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
      continue;
  if (start->error != 0) {
    errno = start->error;
    return -1;
  }
  return start->detached ? start->pid : child;
}

static int copy_above(int descriptor) {
  int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, ABOVE_ALL_OF_THESE);

  if (copy < 0 && errno == EINVAL)
    errno = EMFILE; /* the limit of open files lies below that number */
  return copy;
}

pid_t spawn_helper(int program, const char *mode, const int *numbers, const int *sources, size_t count, int detached) {
  char *const arguments[] = {"ocirun-init", (char *)(uintptr_t)mode, ROOM_FOR_NAME, NULL};
  int copies[MAX_DESCRIPTORS];
  auto_close int above = copy_above(program);
  struct start start;
  sigset_t all, before;
  pid_t pid = -1;

  if (above < 0)
    return -1;
  start.program = above;
  start.arguments = arguments;
  start.numbers = numbers;
  start.sources = copies;
  start.count = 0;
  start.detached = detached != 0;
  start.pid = -1;
  start.error = 0;
  for (size_t index = 0; index < count; index++)
    if (count > MAX_DESCRIPTORS || numbers[index] < 0 || numbers[index] >= ABOVE_ALL_OF_THESE) {
      errno = EINVAL;
      return -1;
    }
  for (; start.count < count; start.count++) {
    copies[start.count] = copy_above(sources[start.count]);
    if (copies[start.count] < 0)
      break;
  }
  if (start.count == count) {
    /* A handler of Python's that ran in the child would run in our memory. The helper unblocks its signals itself. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = start_blocked(&start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  for (size_t index = 0; index < start.count; index++)
    close_quietly(&copies[index]);
  return pid;
}
