#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "policy/tally.h"

static int
memory(void)
{
	int fd = memfd_create("tally", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 22), 0);
	assert_true(tally_size() <= 1 << 22);
	return fd;
}

/* A process that comes again begins at zero, the others' connections stay. */
static void
test_connections_of_all_processes(void **state)
{
	int           fd = memory();
	struct tally *a = tally_open(fd, 0), *b = tally_open(fd, 1);

	(void)state;
	assert_int_equal(tally_come(a, "192.0.2.1"), 1);
	assert_int_equal(tally_come(b, "192.0.2.1"), 2);
	assert_int_equal(tally_come(b, "192.0.2.2"), 1);
	assert_int_equal(tally_come(a, "192.0.2.1"), 3);
	tally_go(a, "192.0.2.1");
	tally_go(a, "192.0.2.9");
	assert_int_equal(tally_come(b, "192.0.2.1"), 3);
	tally_close(&a);
	a = tally_open(fd, 0);
	assert_int_equal(tally_come(a, "192.0.2.1"), 3);
	tally_close(&a);
	tally_close(&b);
	close(fd);
}

static void
test_rates_in_windows(void **state)
{
	int           fd = memory();
	struct tally *t = tally_open(fd, 0);

	(void)state;
	assert_int_equal(tally_event(t, "n", TALLY_MESSAGES, 60000, 60000), 1);
	assert_int_equal(tally_event(t, "n", TALLY_MESSAGES, 119999, 60000), 2);
	assert_int_equal(tally_event(t, "n", TALLY_RECIPIENTS, 119999, 60000), 1);
	assert_int_equal(tally_event(t, "n", TALLY_MESSAGES, 120000, 60000), 1);
	tally_close(&t);
	close(fd);
}

/* More networks than slots: the living keep their count, the resting make room. */
static void
test_a_full_table_refuses_nobody(void **state)
{
	int           fd = memory();
	struct tally *t = tally_open(fd, 0);
	char          name[32];
	unsigned      counted = 0;

	(void)state;
	clock_pretend(1000);
	for (int i = 0; i < 3 * TALLY_SLOTS; i++) {
		snprintf(name, sizeof name, "n%d", i);
		counted += tally_come(t, name) == 1;
	}
	assert_in_range(counted, TALLY_SLOTS / 2, TALLY_SLOTS);
	for (int i = 0; i < 3 * TALLY_SLOTS; i++) {
		snprintf(name, sizeof name, "n%d", i);
		tally_go(t, name);
	}
	clock_pretend(1010);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "new%d", i);
		assert_int_equal(tally_come(t, name), 1);
	}
	clock_pretend(0);
	tally_close(&t);
	close(fd);
}

static void
test_processes_at_once(void **state)
{
	enum { PROCESSES = 4, EACH = 20000 };
	int           fd = memory();
	struct tally *t = tally_open(fd, 0);

	(void)state;
	for (int p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			struct tally *mine = tally_open(fd, (uint32_t)p + 1);

			for (int i = 0; i < EACH; i++)
				(void)tally_event(mine, "n", TALLY_MESSAGES, 60000, 60000);
			_exit(0);
		}
	for (int p = 0; p < PROCESSES; p++)
		(void)wait(NULL);
	assert_int_equal(tally_event(t, "n", TALLY_MESSAGES, 60000, 60000), PROCESSES * EACH + 1);
	tally_close(&t);
	close(fd);
}

/* Whoever comes from ever new networks uses up the room for networks, and makes us forget nothing of what an account has sent. */
static void
test_networks_are_no_accounts(void **state)
{
	int           fd = memory();
	struct tally *t = tally_open(fd, 0);
	char          name[32];

	(void)state;
	clock_pretend(1000);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "account a%d", i);
		assert_int_equal(tally_account(t, name, TALLY_DAY, 10, 3600000, 86400000), 10);
	}
	for (int i = 0; i < 20 * TALLY_SLOTS; i++) {
		clock_pretend(3000 + i);
		snprintf(name, sizeof name, "smtp 2001:db8:%x:%x::", i >> 16, i & 0xffff);
		if (tally_come(t, name) > 0)
			tally_go(t, name);
		(void)tally_event(t, name, TALLY_MESSAGES, 3600000, 60000);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "account a%d", i);
		assert_int_equal(tally_account(t, name, TALLY_DAY, 1, 3600000, 86400000), 11);
	}
	clock_pretend(0);
	tally_close(&t);
	close(fd);
}

/* A restart: hours and days go on, under the same names; minutes begin anew. */
static void
test_what_accounts_have_sent_is_kept(void **state)
{
	int           fd = memory(), later = memory();
	struct tally *t = tally_open(fd, 0), *u = tally_open(later, 0);
	struct buffer kept = { 0 };

	(void)state;
	assert_int_equal(tally_account(t, "account a", TALLY_HOUR, 5, 3600000, 3600000), 5);
	assert_int_equal(tally_account(t, "account a", TALLY_DAY, 7, 3600000, 86400000), 7);
	assert_int_equal(tally_account(t, "account b", TALLY_DAY, 9, 3600000, 86400000), 9);
	assert_int_equal(tally_event(t, "network", TALLY_MESSAGES, 60000, 60000), 1);
	assert_int_equal(tally_come(t, "network"), 1);
	tally_pack(t, 0, &kept);
	for (size_t n = 0; n < kept.len; n++)
		assert_false(tally_unpack(u, bytes_cut(buffer_bytes(&kept), 0, n)));
	assert_true(tally_unpack(u, buffer_bytes(&kept)));
	assert_int_equal(tally_account(u, "account a", TALLY_HOUR, 1, 3600001, 3600000), 6);
	assert_int_equal(tally_account(u, "account a", TALLY_DAY, 1, 3600001, 86400000), 8);
	assert_int_equal(tally_account(u, "account b", TALLY_DAY, 1, 86400000, 86400000), 1);
	assert_int_equal(tally_event(u, "network", TALLY_MESSAGES, 60000, 60000), 1);
	assert_int_equal(tally_come(u, "network"), 1);
	buffer_free(&kept);
	tally_close(&t);
	tally_close(&u);
	close(fd);
	close(later);
}

/* A restart: who has passed is known, as long as it holds; how often somebody came is not. */
static void
test_who_has_passed_is_kept(void **state)
{
	int           fd = memory(), later = memory();
	struct tally *t = tally_open(fd, 0), *u = tally_open(later, 0);
	struct buffer kept = { 0 };
	char          name[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "smtp 192.0.2.%d", i);
		assert_true(tally_passed(t, name, 5000, i < 50 ? 1000 : 9000));
	}
	assert_int_equal(tally_account(t, "account a", TALLY_DAY, 7, 3600000, 86400000), 7);
	assert_int_equal(tally_event(t, "smtp 192.0.2.99", TALLY_MESSAGES, 60000, 60000), 1);
	assert_int_equal(tally_come(t, "smtp 198.51.100.1"), 1);
	tally_pack(t, 6000, &kept);
	assert_int_equal(kept.len, 24 + 32 + 50 * 16); /* docs/format.md */
	assert_true(tally_unpack(u, buffer_bytes(&kept)));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "smtp 192.0.2.%d", i);
		assert_int_equal(tally_passed(u, name, 13999, 0), i >= 50);
		assert_false(tally_passed(u, name, 14000, 0));
	}
	assert_false(tally_passed(u, "smtp 198.51.100.1", 6000, 0));
	assert_int_equal(tally_account(u, "account a", TALLY_DAY, 1, 3600001, 86400000), 8);
	assert_int_equal(tally_event(u, "smtp 192.0.2.99", TALLY_MESSAGES, 60000, 60000), 1);
	buffer_free(&kept);
	tally_close(&t);
	tally_close(&u);
	close(fd);
	close(later);
}

/* More have passed than there is room: as many as there is room for are known, the file is no larger, and no memory is written beside its place. */
static void
test_as_many_as_there_is_room_for_are_kept(void **state)
{
	int           fd = memory(), later = memory();
	struct tally *t = tally_open(fd, 0), *u = tally_open(later, 0);
	struct buffer kept = { 0 };
	unsigned      known = 0;
	char          name[32];

	(void)state;
	for (int i = 0; i < 3 * TALLY_SLOTS; i++) {
		clock_pretend(1000 + 2000 * i);
		snprintf(name, sizeof name, "n%d", i);
		assert_true(tally_passed(t, name, 5000, 9000));
	}
	tally_pack(t, 6000, &kept);
	assert_true(kept.len <= 24 + 16 * TALLY_SLOTS);
	assert_true(tally_unpack(u, buffer_bytes(&kept)));
	for (int i = 0; i < 3 * TALLY_SLOTS; i++) {
		snprintf(name, sizeof name, "n%d", i);
		known += tally_passed(u, name, 6000, 0);
	}
	assert_in_range(known, TALLY_SLOTS * 9 / 10, TALLY_SLOTS);
	/* a network too many, and a number of accounts that are not there */
	while (kept.len <= 24 + 16 * TALLY_SLOTS)
		buffer_add(&kept, BYTES("0123456789abcdef"));
	assert_false(tally_unpack(u, buffer_bytes(&kept)));
	for (int i = 20; i < 24; i++)
		((char *)kept.at)[i] = (char)0xff;
	assert_false(tally_unpack(u, buffer_bytes(&kept)));
	buffer_free(&kept);
	clock_pretend(0);
	tally_close(&t);
	tally_close(&u);
	close(fd);
	close(later);
}

/* As it was written before networks were kept. */
static void
test_the_file_of_an_older_version_is_read(void **state)
{
	static const char kept[] = "TAL1"
				   "\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
				   "\5\0\0\0\0\0\0\0"
				   "\1\0\0\0\0\0\0\0\2\0\0\0"
				   "\1\0\0\0\0\0\0\0\2\0\0\0";
	int               fd = memory();
	struct tally     *t = tally_open(fd, 0);

	(void)state;
	for (size_t n = 0; n < sizeof kept - 1; n++)
		assert_int_equal(tally_unpack(t, (struct bytes){ kept, n }), n == 20);
	assert_true(tally_unpack(t, (struct bytes){ kept, sizeof kept - 1 }));
	tally_close(&t);
	close(fd);
}

UNIT(test_connections_of_all_processes, test_rates_in_windows, test_a_full_table_refuses_nobody,
     test_processes_at_once, test_networks_are_no_accounts, test_what_accounts_have_sent_is_kept,
     test_who_has_passed_is_kept, test_as_many_as_there_is_room_for_are_kept,
     test_the_file_of_an_older_version_is_read)
