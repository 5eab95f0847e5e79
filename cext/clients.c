/* The clients of the attach protocol: the starter, `attach`, `wait`, `logs -f`, the API. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor.h"

/* Messages in a row from one client, before the others get their turn. */
#define MESSAGES_IN_A_ROW 8
/* The longest message that is not input. */
#define COMMAND_BYTES 16

static bool is_full(const struct input *input) {
  return input->offset < input->length;
}

bool clients_are_full(const struct monitor *monitor) {
  for (int place = 0; place < CLIENT_MAXIMUM; place++)
    if (place >= monitor->client_limit || monitor->clients[place].socket < 0)
      return false;
  return true;
}

bool clients_remain(const struct monitor *monitor) {
  for (int place = 0; place < monitor->client_limit; place++)
    if (monitor->clients[place].socket >= 0)
      return true;
  return false;
}

struct client *clients_add(struct monitor *monitor, int socket) {
  int place = 0;
  while (place < monitor->client_limit && monitor->clients[place].socket >= 0)
    place++;
  if (place == CLIENT_MAXIMUM) {
    close(socket);
    return NULL;
  }
  if (place == monitor->client_limit)
    monitor->client_limit++;
  struct client *client = &monitor->clients[place];
  *client = (struct client){.socket = socket, .wants_output = true};
  return client;
}

/* No more output for this client. */
static void stop_output(struct monitor *monitor, struct client *client) {
  for (int index = 0; index < STREAM_COUNT; index++)
    if (client->owes & (1u << index))
      monitor->streams[index].waiting--;
  client->owes = 0;
  client->wants_output = false;
}

static void drop(struct monitor *monitor, struct client *client) {
  stop_output(monitor, client);
  close(client->socket);
  client->socket = -1;
  if (client->has_frozen)
    freeze_release(monitor);
  if (monitor->input.owner == client - monitor->clients)
    monitor->input.owner = -1;
  while (monitor->client_limit > 0 && monitor->clients[monitor->client_limit - 1].socket < 0)
    monitor->client_limit--;
  if (!client->uses_input || !(monitor->flags & MONITOR_INPUT_ONCE) || (monitor->flags & MONITOR_TERMINAL))
    return;
  monitor->input.is_ending = true;
  if (!is_full(&monitor->input))
    pump_close_input(monitor);
}

/* true when the message has been sent. A client that has hung up gets no more, but stays until its own messages are read. */
static bool send_message(struct monitor *monitor, struct client *client, const void *bytes, size_t length) {
  for (;;) {
    if (send(client->socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
      return true;
    if (errno == EINTR)
      continue;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
      return false;
    stop_output(monitor, client);
    client->acknowledge = 0;
    client->owes_answer = false;
    client->follows_log = false;
    client->has_hung_up = true;
    return false;
  }
}

void clients_offer(struct monitor *monitor, int index) {
  struct stream *stream = &monitor->streams[index];
  stream->chunk[0] = index == STREAM_OUTPUT ? 'O' : 'e';
  stream->waiting = 0;
  for (int place = 0; place < monitor->client_limit; place++) {
    struct client *client = &monitor->clients[place];
    if (client->socket < 0 || !client->wants_output)
      continue;
    if (send_message(monitor, client, stream->chunk, stream->length) || client->has_hung_up)
      continue;
    client->owes |= 1u << index;
    stream->waiting++;
  }
}

void clients_log_grown(struct monitor *monitor) {
  for (int place = 0; place < monitor->client_limit; place++) {
    struct client *client = &monitor->clients[place];
    /* A socket that is full holds such a message already. */
    if (client->socket >= 0 && client->follows_log)
      (void)send_message(monitor, client, "G", 1);
  }
}

static bool send_number(struct monitor *monitor, struct client *client, char type, uint32_t number) {
  unsigned char message[5] = {(unsigned char)type, (unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                              (unsigned char)(number >> 24)};
  return send_message(monitor, client, message, sizeof message);
}

void clients_resume(struct monitor *monitor, int place) {
  struct client *client = &monitor->clients[place];
  for (int index = 0; index < STREAM_COUNT; index++) {
    struct stream *stream = &monitor->streams[index];
    if ((client->owes & (1u << index)) && send_message(monitor, client, stream->chunk, stream->length)) {
      client->owes &= ~(1u << index);
      stream->waiting--;
    }
  }
  if (client->acknowledge > 0 && send_number(monitor, client, 'A', client->acknowledge))
    client->acknowledge = 0;
  if (client->owes_answer && send_number(monitor, client, 'Z', client->answer))
    client->owes_answer = false;
  if (!monitor->is_delivering || client->owes != 0 || (client->wants_output && !pump_tails_are_empty(monitor)))
    return;
  if (send_number(monitor, client, 'X', (uint32_t)monitor->state.exit_code) || client->has_hung_up)
    drop(monitor, client);
}

short clients_events(const struct monitor *monitor, int place) {
  const struct client *client = &monitor->clients[place];
  short events = 0;
  if (!client->is_held || !is_full(&monitor->input))
    events |= POLLIN;
  if (client->owes != 0 || client->acknowledge > 0 || client->owes_answer)
    events |= POLLOUT;
  if (monitor->is_delivering && (!client->wants_output || pump_tails_are_empty(monitor)))
    events |= POLLOUT;
  return events;
}

static void take_input(struct monitor *monitor, struct client *client, size_t length) {
  struct input *input = &monitor->input;
  client->uses_input = true;
  input->offset = 0;
  input->length = length;
  input->taken = (uint32_t)length;
  input->owner = (int)(client - monitor->clients);
  pump_input(monitor);
}

static void end_input(struct monitor *monitor, struct client *client) {
  client->uses_input = true;
  if (!(monitor->flags & MONITOR_INPUT_ONCE) || (monitor->flags & MONITOR_TERMINAL))
    return;
  monitor->input.is_ending = true;
  if (!is_full(&monitor->input))
    pump_close_input(monitor);
}

static void set_window(const struct monitor *monitor, const unsigned char *bytes) {
  struct winsize size = {.ws_row = (unsigned short)(bytes[0] | bytes[1] << 8), .ws_col = (unsigned short)(bytes[2] | bytes[3] << 8)};
  if (monitor->container.terminal >= 0)
    (void)ioctl(monitor->container.terminal, TIOCSWINSZ, &size);
}

static void send_signal(const struct monitor *monitor, const unsigned char *bytes) {
  uint32_t number = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
  if (monitor->container.process >= 0 && number >= 1 && number <= 64)
    (void)syscall(SYS_pidfd_send_signal, monitor->container.process, (int)number, NULL, 0);
}

/* Let the container stand still for this client, or not any more, and answer when it is so. */
static void freeze(struct monitor *monitor, struct client *client, bool is_wanted) {
  bool was_frozen = client->has_frozen;
  client->answer = 0;
  if (is_wanted && !was_frozen && freeze_take(monitor) < 0)
    client->answer = (uint32_t)errno;
  client->has_frozen = is_wanted && client->answer == 0;
  if (was_frozen && !is_wanted)
    freeze_release(monitor);
  client->owes_answer = true;
}

/* Obey one message that is not input. false: the client has to go. */
static bool obey(struct monitor *monitor, struct client *client, char type, const unsigned char *bytes, size_t length) {
  switch (type) {
  case 'E':
    end_input(monitor, client);
    return true;
  case 'W':
    if (length == 4)
      set_window(monitor, bytes);
    return length == 4;
  case 'K':
    if (length == 4)
      send_signal(monitor, bytes);
    return length == 4;
  case 'N':
  case 'L':
    stop_output(monitor, client);
    return true;
  case 'G':
    stop_output(monitor, client);
    client->follows_log = true;
    (void)send_message(monitor, client, "G", 1);
    return true;
  case 'Z':
    stop_output(monitor, client);
    if (length == 1)
      freeze(monitor, client, bytes[0] != 0);
    return length == 1;
  default: /* 'D', and what is no message of this protocol */
    return false;
  }
}

/* Receive one message and obey it. false when there was none, or when the client has gone or is held. */
static bool read_message(struct monitor *monitor, struct client *client) {
  struct input *input = &monitor->input;
  unsigned char command[COMMAND_BYTES];
  char type = 0;
  bool is_busy = is_full(input);
  if (is_busy && recv(client->socket, &type, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && type == 'I') {
    client->is_held = true;
    return false;
  }
  struct iovec parts[2] = {{&type, 1}, {is_busy ? (void *)command : input->bytes, is_busy ? sizeof command : sizeof input->bytes}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t count = recvmsg(client->socket, &message, MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == ECONNRESET)) /* reset: it closed with output unread; its messages still follow */
    return true;
  if (count < 0 && errno == EAGAIN)
    return false;
  if (count <= 0 || (message.msg_flags & MSG_TRUNC)) {
    drop(monitor, client);
    return false;
  }
  client->is_held = false;
  if (type == 'I') {
    take_input(monitor, client, (size_t)count - 1);
    return true;
  }
  if (obey(monitor, client, type, is_busy ? command : (unsigned char *)input->bytes, (size_t)count - 1))
    return true;
  drop(monitor, client);
  return false;
}

void clients_read(struct monitor *monitor, int place) {
  struct client *client = &monitor->clients[place];
  for (int turn = 0; turn < MESSAGES_IN_A_ROW; turn++)
    if (!read_message(monitor, client) || client->socket < 0)
      return;
}
