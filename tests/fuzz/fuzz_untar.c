/* Fuzz target: the whole extractor, with something beside its target that must stay as it is. Works in $TMPDIR or /tmp. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"
#include "tree.h"
#include "untar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT = 5 };

struct place {
  char top[PATH_MAX - 64];
  char layer[PATH_MAX];
  int directory;
  struct stat secret, outside;
};

static void promise(bool kept, const char *what) {
  if (kept)
    return;
  perror(what);
  abort();
}

/* The extractor reports what it has counted; nobody listens here. */
int control_send(int control, char type, const void *bytes, size_t length) {
  promise(control == DESCRIPTOR_CONTROL && type == 'R' && bytes != NULL && length > 0, "the report");
  return 0;
}

static void make_place(struct place *place) {
  const char *temporary = getenv("TMPDIR");
  auto_close int secret = -1;

  snprintf(place->top, sizeof place->top, "%s/ocirun-fuzz-XXXXXX", temporary == NULL ? "/tmp" : temporary);
  promise(mkdtemp(place->top) != NULL, "mkdtemp");
  snprintf(place->layer, sizeof place->layer, "%s/layer", place->top);
  place->directory = open(place->top, O_PATH | O_DIRECTORY | O_CLOEXEC);
  promise(mkdirat(place->directory, "outside", 0700) == 0, "mkdir");
  secret = openat(place->directory, "outside/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  promise(secret >= 0 && write_all(secret, "secret", 6) == 0 && fstat(secret, &place->secret) == 0, "the secret");
  promise(fstatat(place->directory, "outside", &place->outside, 0) == 0, "outside");
}

static bool unchanged(const struct stat *before, const struct stat *now) {
  return before->st_ino == now->st_ino && before->st_mode == now->st_mode && before->st_nlink == now->st_nlink &&
         before->st_uid == now->st_uid && before->st_size == now->st_size && before->st_ctim.tv_sec == now->st_ctim.tv_sec &&
         before->st_ctim.tv_nsec == now->st_ctim.tv_nsec;
}

static void check_place(const struct place *place) {
  auto_close int top = open(place->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_names struct names names = {0};
  struct stat now;

  promise(fstatat(place->directory, "outside/secret", &now, AT_SYMLINK_NOFOLLOW) == 0 && unchanged(&place->secret, &now), "the secret changed");
  promise(fstatat(place->directory, "outside", &now, AT_SYMLINK_NOFOLLOW) == 0 && unchanged(&place->outside, &now), "outside changed");
  promise(top >= 0 && names_read(top, &names) == 0 && names.count == 2, "something appeared beside the layer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct place place; /* made once: a directory for each input would be most of the work */
  struct plan_string strings[] = {{place.layer, 0}};
  const uint64_t integers[] = {INPUT, UNTAR_SQUASH | UNTAR_SKIP_DEVICES, 0};
  const struct step step = {STEP_UNTAR, 3, 1, integers, strings};
  struct failure failure = {0};
  int file;

  if (place.top[0] == '\0')
    make_place(&place);
  promise(mkdirat(place.directory, "layer", 0700) == 0, "mkdir");
  file = memfd_create("archive", MFD_CLOEXEC);
  promise(file >= 0 && write_all(file, data, size) == 0 && lseek(file, 0, SEEK_SET) == 0 && dup2(file, INPUT) == INPUT, "the archive");
  close(file);
  if (step_untar(&step, &failure) < 0)
    promise(failure.error > 0 && failure.error != EFAULT && failure.error != EBADF, "a failure without a reason");
  close(INPUT);
  check_place(&place);
  promise(remove_entry(place.directory, "layer", "layer", &failure) == 0, "removing the layer");
  return 0;
}
