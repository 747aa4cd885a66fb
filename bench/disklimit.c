// SPDX-License-Identifier: ISC
//
// disklimit: how many letters a second this disk can promise to keep.
//
// Threads append records of --size octets to one preallocated log and wait
// until theirs is on the disk.  One of the waiters leads: it calls fdatasync
// for everything written so far while the others go on writing, and whoever
// wrote in the meantime is covered by the next call.  Nobody sleeps in the
// hope of company.  No mail server that keeps its promises can accept faster
// than this; the benchmark prints every figure beside it.

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	pthread_cond_t turned;
	int fd;
	char *record;
	size_t size;
	uint64_t room;		// records the log holds before it starts over
	uint64_t taken;		// places given out
	uint64_t durable;	// rounds done, see record_commit
	uint64_t round;
	bool leading;
	uint64_t syncs, done;
	struct timespec end;
} log_of = { .lock = PTHREAD_MUTEX_INITIALIZER, .turned = PTHREAD_COND_INITIALIZER };

static void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("disklimit: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static bool
time_over(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > log_of.end.tv_sec ||
	    (now.tv_sec == log_of.end.tv_sec && now.tv_nsec >= log_of.end.tv_nsec);
}

// Waits until a sync that began after our write has ended.  .round counts the
// syncs begun, .durable those ended; ours is the first to begin from now on.
static void
record_commit(void)
{
	pthread_mutex_lock(&log_of.lock);
	uint64_t mine = log_of.round + 1;
	while (log_of.durable < mine) {
		if (log_of.leading) {
			pthread_cond_wait(&log_of.turned, &log_of.lock);
			continue;
		}
		log_of.leading = true;
		uint64_t round = ++log_of.round;
		pthread_mutex_unlock(&log_of.lock);
		if (fdatasync(log_of.fd) < 0)
			die("fdatasync: %s", strerror(errno));
		pthread_mutex_lock(&log_of.lock);
		log_of.leading = false;
		log_of.durable = round;
		log_of.syncs++;
		pthread_cond_broadcast(&log_of.turned);
	}
	log_of.done++;
	pthread_mutex_unlock(&log_of.lock);
}

static void *
writer_run(void *unused)
{
	(void)unused;
	while (!time_over()) {
		pthread_mutex_lock(&log_of.lock);
		uint64_t place = log_of.taken++ % log_of.room;
		pthread_mutex_unlock(&log_of.lock);
		ssize_t n = pwrite(log_of.fd, log_of.record, log_of.size,
		    (off_t)(place * log_of.size));
		if (n != (ssize_t)log_of.size)
			die("pwrite: %s", n < 0 ? strerror(errno) : "short");
		record_commit();
	}
	return NULL;
}

static double
round_run(unsigned threads, double seconds)
{
	log_of.done = log_of.syncs = log_of.taken = 0;
	struct timespec begin;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	int64_t end = begin.tv_sec * INT64_C(1000000000) + begin.tv_nsec +
	    (int64_t)(seconds * 1e9);
	log_of.end = (struct timespec){ end / 1000000000, end % 1000000000 };

	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_t *all = calloc(threads, sizeof *all);
	for (unsigned i = 0; i < threads; i++)
		if (!all || pthread_create(&all[i], &attr, writer_run, NULL))
			die("cannot start %u threads", threads);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	free(all);

	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double took = (double)(now.tv_sec - begin.tv_sec) +
	    (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
	return (double)log_of.done / took;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", 1, NULL, 's' }, { "seconds", 1, NULL, 't' },
		{ "threads", 1, NULL, 'n' }, { "json", 0, NULL, 'j' }, { 0 },
	};
	const char *threads = "1,10,50,200";
	double seconds = 1;
	bool json = false;
	int o;
	log_of.size = 4096;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's': log_of.size = strtoul(optarg, NULL, 10); break;
		case 't': seconds = atof(optarg); break;
		case 'n': threads = optarg; break;
		case 'j': json = true; break;
		default: optind = argc;
		}
	}
	if (optind != argc - 1 || log_of.size == 0) {
		fputs("usage: disklimit [--size BYTES] [--threads N,N,...] "
		    "[--seconds S] [--json] DIR\n", stderr);
		return 2;
	}

	char path[4096];
	snprintf(path, sizeof path, "%s/disklimit.XXXXXX", argv[optind]);
	if ((log_of.fd = mkstemp(path)) < 0)
		die("%s: %s", path, strerror(errno));
	unlink(path);
	log_of.record = malloc(log_of.size);
	if (!log_of.record)
		die("out of memory");
	memset(log_of.record, 'm', log_of.size);

	// The log is written full once, not only allocated: otherwise the first
	// lap would also pay for turning unwritten extents into written ones.
	log_of.room = (64u << 20) / log_of.size;
	if (log_of.room < 16)
		log_of.room = 16;
	for (uint64_t i = 0; i < log_of.room; i++)
		if (pwrite(log_of.fd, log_of.record, log_of.size,
		    (off_t)(i * log_of.size)) != (ssize_t)log_of.size)
			die("pwrite: %s", strerror(errno));
	fsync(log_of.fd);

	char *list = strdup(threads);
	const char *comma = "";
	if (json)
		printf("{\"size\": %zu, \"per_second\": {", log_of.size);
	for (char *n = strtok(list, ","); n; n = strtok(NULL, ",")) {
		unsigned count = (unsigned)strtoul(n, NULL, 10);
		if (count == 0 || count > 10000)
			die("%s threads?", n);
		double rate = round_run(count, seconds);
		if (json)
			printf("%s\"%u\": %.1f", comma, count, rate);
		else
			printf("threads=%u size=%zu per_second=%.1f per_sync=%.1f\n",
			    count, log_of.size, rate,
			    (double)log_of.done / (double)log_of.syncs);
		fflush(stdout);
		comma = ", ";
	}
	if (json)
		printf("}}\n");
	free(list);
	return 0;
}
