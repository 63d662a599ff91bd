/* A blocking client: "pingpong PORT SIZE SECONDS" sends a message, waits in the kernel for its echo, and repeats.
 * It prints the median of the round trips as one line of JSON, named as in "echoproto load -o json". */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define SAMPLES (1 << 22)

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int byNumber(const void *one, const void *other) {
    unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return (a > b) - (a < b);
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

int main(int count, char **word) {
    if (count != 4) return 2;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(word[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t size = atol(word[2]);
    char *message = calloc(1, size), *reply = malloc(size);
    unsigned *samples = malloc(SAMPLES * sizeof *samples);
    long taken = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    long long end = now() + atof(word[3]) * 1e9, began = now();
    while (began < end && taken < SAMPLES) {
        if (send(fd, message, size, MSG_NOSIGNAL) != (ssize_t)size) fail("send");
        for (size_t got = 0; got < size;) {
            ssize_t one = recv(fd, reply + got, size - got, 0);
            if (one <= 0) fail("recv");
            got += one;
        }
        long long back = now();
        samples[taken++] = back - began;
        began = back;
    }
    qsort(samples, taken, sizeof *samples, byNumber);
    printf("{\"service\": {\"p50_ns\": %u}}\n", samples[taken / 2]);
}
