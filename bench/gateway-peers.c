// Both ends of the gateway's benchmark: an engine that answers from memory and a client that counts. In C, so that what is
// measured is the proxy between them and not the measuring.
//
//   peers engine CHUNKS GAP_US [DIAL_PORT CREDENTIAL SOCKETS]   listens on a free port (printed) and, if told, dials a gateway
//   peers load PORT KEY json|stream closed CONNECTIONS SECONDS
//   peers load PORT KEY json|stream open RATE SECONDS
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { max_fds = 4096, buffer_size = 16384, max_samples = 4000000 };

static int poller;

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (fd >= max_fds || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll");
}

static int dial(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

// All that is sent is far smaller than a socket's buffer, so a short write is a failure of the benchmark.
static void put(int fd, const char *bytes, size_t length) {
  if (write(fd, bytes, length) != (ssize_t)length && errno != EPIPE && errno != ECONNRESET) die("write");
}

// ---- the engine

struct peer {
  int used, left, usage;      // bytes held; chunks to send; whether the usage event was asked for
  uint64_t due;
  int next;                   // of the queue of streams, by due time
  char bytes[buffer_size];
};
static struct peer *peers[max_fds];
static int queue_head = -1, queue_tail = -1;
static int chunks, gap_us, dial_port, is_agent[max_fds];
static const char *credential;

static const char plain_answer[] =
    "{\"id\":\"chatcmpl-b126639a1028bdfe\",\"object\":\"chat.completion\",\"created\":1795458442,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The quick brown fox jumps over the lazy "
    "dog, and then it does so again, because one jump is never enough for it.\",\"refusal\":null,\"annotations\":null,"
    "\"audio\":null,\"function_call\":null,\"reasoning\":null},\"logprobs\":null,\"finish_reason\":\"length\","
    "\"stop_reason\":null,\"token_ids\":null,\"routed_experts\":null}],\"service_tier\":null,\"system_fingerprint\":"
    "\"vllm-0.32.0-4342ea70\",\"usage\":{\"prompt_tokens\":13,\"total_tokens\":33,\"completion_tokens\":20,"
    "\"prompt_tokens_details\":null,\"completion_tokens_details\":null},\"prompt_logprobs\":null,\"metrics\":null}";
static const char token[] =
    "data: {\"id\":\"chatcmpl-882c943e786d3347\",\"object\":\"chat.completion.chunk\",\"created\":1795458442,\"model\":"
    "\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Trained\"},\"logprobs\":null,\"finish_reason\":null,"
    "\"token_ids\":null}]}\n\n";
static const char usage[] =
    "data: {\"id\":\"chatcmpl-882c943e786d3347\",\"object\":\"chat.completion.chunk\",\"created\":1795458442,\"model\":"
    "\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":13,\"total_tokens\":77,\"completion_tokens\":64}}\n\n";
static const char stream_head[] =
    "HTTP/1.1 200 OK\r\ndate: Mon, 23 Nov 2026 18:27:21 GMT\r\nserver: uvicorn\r\ncontent-type: text/event-stream; "
    "charset=utf-8\r\nvary: Origin\r\ntransfer-encoding: chunked\r\n\r\n";

static void enqueue(int fd) {
  peers[fd]->next = -1;
  if (queue_tail >= 0) peers[queue_tail]->next = fd;
  else queue_head = fd;
  queue_tail = fd;
}

static void send_chunk(int fd, uint64_t now) {
  struct peer *peer = peers[fd];
  char out[2048];
  int n = 0;
  if (peer->left == chunks) n = sprintf(out, "%s", stream_head);
  n += sprintf(out + n, "%zx\r\n%s\r\n", sizeof token - 1, token);
  if (--peer->left == 0) {
    if (peer->usage) n += sprintf(out + n, "%zx\r\n%s\r\n", sizeof usage - 1, usage);
    n += sprintf(out + n, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
  }
  put(fd, out, n);
  if (peer->left == 0) return;
  peer->due = now + gap_us;
  enqueue(fd);
}

static void answer(int fd, const char *head, const char *body, size_t length) {
  struct peer *peer = peers[fd];
  char out[2048];
  if (strstr(head, " /v1/models")) {
    const char list[] = "{\"object\":\"list\",\"data\":[{\"id\":\"bench\"}]}";
    put(fd, out, sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", sizeof list - 1, list));
  } else if (memmem(body, length, "\"stream\":true", 13)) {
    peer->left = chunks;
    peer->usage = memmem(body, length, "include_usage", 13) != NULL;
    send_chunk(fd, now_us());
  } else {
    put(fd, out,
        sprintf(out, "HTTP/1.1 200 OK\r\ndate: Mon, 23 Nov 2026 18:27:21 GMT\r\nserver: uvicorn\r\ncontent-length: %zu\r\n"
                     "content-type: application/json\r\nvary: Origin\r\n\r\n%s", sizeof plain_answer - 1, plain_answer));
  }
}

static void lend(void) {
  int fd = dial(dial_port);
  char out[1024];
  put(fd, out, sprintf(out, "GET /node/connect HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n"
                            "Authorization: Bearer %s\r\nx-flightdeck-incarnation: incarnation-1\r\n\r\n", credential));
  peers[fd] = calloc(1, sizeof **peers);
  is_agent[fd] = 1;
  watch(fd);
}

static void drop(int fd) {
  int redial = is_agent[fd];
  // A stream in the queue of a closed peer is told apart by its zero.
  if (peers[fd]->left > 0) {
    int before = -1;
    for (int at = queue_head; at >= 0; before = at, at = peers[at]->next) {
      if (at != fd) continue;
      if (before >= 0) peers[before]->next = peers[fd]->next;
      else queue_head = peers[fd]->next;
      if (queue_tail == fd) queue_tail = before;
      break;
    }
  }
  free(peers[fd]);
  peers[fd] = NULL;
  is_agent[fd] = 0;
  close(fd);
  if (redial) lend();
}

static void engine_read(int fd) {
  struct peer *peer = peers[fd];
  ssize_t n = read(fd, peer->bytes + peer->used, buffer_size - 1 - peer->used);
  if (n <= 0) return drop(fd);
  peer->used += n;
  for (;;) {
    peer->bytes[peer->used] = 0;
    char *end = strstr(peer->bytes, "\r\n\r\n");
    if (!end) return;
    char *field = strcasestr(peer->bytes, "content-length:");
    size_t length = field && field < end ? strtoul(field + 15, NULL, 10) : 0;
    size_t head = end + 4 - peer->bytes;
    if ((size_t)peer->used < head + length) return;
    // The 101 of the gateway is the one thing that is not a request.
    if (strncmp(peer->bytes, "HTTP/", 5) != 0) answer(fd, peer->bytes, peer->bytes + head, length);
    else if (strncmp(peer->bytes + 9, "101", 3) != 0) die("the gateway refused the connection");
    peer->used -= head + length;
    memmove(peer->bytes, peer->bytes + head + length, peer->used);
  }
}

static void engine(int argc, char **argv) {
  chunks = atoi(argv[2]);
  gap_us = atoi(argv[3]);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  if (bind(listener, (struct sockaddr *)&at, size) < 0 || listen(listener, 1024) < 0) die("listen");
  getsockname(listener, (struct sockaddr *)&at, &size);
  watch(listener);
  if (argc > 6) {
    dial_port = atoi(argv[4]);
    credential = argv[5];
    for (int n = atoi(argv[6]); n > 0; n--) lend();
  }
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    uint64_t now = now_us();
    uint64_t left = queue_head < 0 ? 1000000 : peers[queue_head]->due > now ? peers[queue_head]->due - now : 0;
    struct timespec wait = {left / 1000000, left % 1000000 * 1000};
    int n = epoll_pwait2(poller, events, 256, &wait, NULL);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd, one = 1;
      if (fd != listener) {
        if (peers[fd]) engine_read(fd);
        continue;
      }
      int client = accept(listener, NULL, NULL);
      if (client < 0) continue;
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      peers[client] = calloc(1, sizeof **peers);
      watch(client);
    }
    now = now_us();
    while (queue_head >= 0 && peers[queue_head]->due <= now) {
      int fd = queue_head;
      queue_head = peers[fd]->next;
      if (queue_head < 0) queue_tail = -1;
      send_chunk(fd, now);
    }
  }
}

// ---- the load

struct call {
  uint64_t began, first;
  int answered, length, seen;  // whether the head was read; body length or -1 for chunks; body bytes
  int tail_size;
  char tail[buffer_size];
};
static struct call *calls[max_fds];
static uint32_t *took, *first;
static size_t done_count, failed_count;
static char request[8192];
static int request_size, streaming;

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void ask_again(int fd, uint64_t began) {
  struct call *call = calls[fd];
  memset(call, 0, offsetof(struct call, tail));
  call->began = began;
  put(fd, request, request_size);
}

static int idle[max_fds], idle_count;
static int open_loop, stop_asking;

static void finish(int fd, uint64_t now, int good) {
  struct call *call = calls[fd];
  if (good && done_count < max_samples) {
    first[done_count] = (uint32_t)(call->first - call->began);
    took[done_count++] = (uint32_t)(now - call->began);
  }
  if (!good) failed_count++;
  call->began = 0;
  if (open_loop || stop_asking) idle[idle_count++] = fd;
  else ask_again(fd, now);
}

static void load_read(int fd) {
  struct call *call = calls[fd];
  ssize_t n = read(fd, call->tail + call->tail_size, buffer_size - 1 - call->tail_size);
  uint64_t now = now_us();
  if (n <= 0) {
    fprintf(stderr, "the proxy closed a connection\n");
    exit(1);
  }
  if (call->began == 0) return;
  call->tail_size += n;
  call->tail[call->tail_size] = 0;
  if (!call->answered) {
    char *end = strstr(call->tail, "\r\n\r\n");
    if (!end) return;
    call->answered = 1;
    if (strncmp(call->tail + 9, "200", 3) != 0) {
      fprintf(stderr, "%.300s\n", call->tail);
      exit(1);
    }
    *end = 0;
    char *field = strcasestr(call->tail, "content-length:");
    call->length = field ? atoi(field + 15) : -1;
    int head = end + 4 - call->tail;
    call->tail_size -= head;
    memmove(call->tail, call->tail + head, call->tail_size + 1);
    call->seen = 0;
    n = call->tail_size;
  }
  // The first bytes of the body: for a stream, its first event.
  if (call->seen == 0 && n > 0) call->first = now;
  call->seen += n;
  if (call->length >= 0) {
    if (call->seen >= call->length) finish(fd, now, call->seen == call->length);
    else if (call->tail_size > buffer_size / 2) call->tail_size = 0;
    return;
  }
  if (call->tail_size >= 7 && memcmp(call->tail + call->tail_size - 7, "\r\n0\r\n\r\n", 7) == 0)
    return finish(fd, now, !streaming || strstr(call->tail, "[DONE]") != NULL);
  if (call->tail_size > 64) {
    memmove(call->tail, call->tail + call->tail_size - 64, 64);
    call->tail_size = 64;
  }
}

static uint32_t at(uint32_t *samples, size_t count, double share) {
  return count == 0 ? 0 : samples[(size_t)(share * (count - 1))];
}

static void open_connection(int port) {
  int fd = dial(port);
  calls[fd] = calloc(1, sizeof **calls);
  watch(fd);
  idle[idle_count++] = fd;
}

static void load(char **argv) {
  int port = atoi(argv[2]);
  streaming = strcmp(argv[4], "stream") == 0;
  open_loop = strcmp(argv[5], "open") == 0;
  int amount = atoi(argv[6]);
  double seconds = atof(argv[7]);
  char body[2048];
  // About a kilobyte, as a short conversation is.
  char prompt[801];
  for (int i = 0; i < 800; i++) prompt[i] = i % 7 == 6 ? ' ' : 'a' + i % 26;
  prompt[800] = 0;
  int length = sprintf(body, "{\"model\":\"bench\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\","
                             "\"content\":\"%s\"}],\"max_tokens\":64,\"temperature\":0.7%s}", prompt, streaming ? ",\"stream\":true" : "");
  request_size = sprintf(request, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
                                  "Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                         port, argv[3], length, body);
  took = malloc(max_samples * sizeof *took);
  first = calloc(max_samples, sizeof *first);
  int connections = open_loop ? (streaming ? 512 : 64) : amount;
  for (int i = 0; i < connections; i++) open_connection(port);
  uint64_t began = now_us(), until = began + (uint64_t)(seconds * 1e6), asked = 0;
  size_t missed = 0;
  if (!open_loop) while (idle_count > 0) ask_again(idle[--idle_count], now_us());
  struct epoll_event events[256];
  uint64_t ended = 0;
  for (;;) {
    uint64_t now = now_us();
    if (now >= until && !stop_asking) {
      stop_asking = 1;
      ended = now;
    }
    if (stop_asking && (idle_count == connections || now > until + 5000000)) break;
    struct timespec wait = {0, 100000000};
    if (open_loop && !stop_asking) {
      // By the clock and not by the answers: a slow proxy must not slow the question down.
      for (; began + asked * 1000000 / amount <= now; asked++) {
        if (idle_count == 0) missed++;
        else ask_again(idle[--idle_count], began + asked * 1000000 / amount);
      }
      uint64_t next = began + asked * 1000000 / amount;
      wait.tv_nsec = next > now ? (next - now) * 1000 : 0;
    }
    int n = epoll_pwait2(poller, events, 256, &wait, NULL);
    for (int i = 0; i < n; i++) load_read(events[i].data.fd);
  }
  qsort(took, done_count, sizeof *took, by_size);
  qsort(first, done_count, sizeof *first, by_size);
  printf("{\"done\":%zu,\"failed\":%zu,\"missed\":%zu,\"seconds\":%.3f,\"p50Us\":%u,\"p99Us\":%u,\"firstP50Us\":%u,\"firstP99Us\":%u}\n",
         done_count, failed_count, missed, (ended - began) / 1e6, at(took, done_count, 0.5), at(took, done_count, 0.99),
         at(first, done_count, 0.5), at(first, done_count, 0.99));
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  poller = epoll_create1(0);
  if (argc >= 4 && strcmp(argv[1], "engine") == 0) engine(argc, argv);
  else if (argc >= 8 && strcmp(argv[1], "load") == 0) load(argv);
  else return 2;
  return 0;
}
