// SPDX-License-Identifier: ISC
// chronicle DIRECTORY EVENTS: fills an event store through its real writer, as if so many events had come in 30 days.
// Prints letters to ask for: an id, a message-id, an address with few letters, one with many, the id of a refusal.

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "chronicle/chronicle.h"

enum { DAYS = 30, TURN = 64 };

static struct chronicle *chronicle;
static uint64_t seed = 88172645463325252u, written, refusals;
static int64_t now_us;

// xorshift: the same events in every run.
static uint64_t
some(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void
add(const struct event *e)
{
	struct event at = *e;

	at.at_us = now_us;
	now_us += (int64_t)some(20000);
	chronicle_add(chronicle, &at);
	if (++written % TURN == 0)
		chronicle_flush(chronicle);
	if (written % 4096 == 0) {
		clock_pretend(now_us / 1000000);
		if (chronicle_turn(chronicle)) {
			chronicle_pack(chronicle);
			chronicle_packed(chronicle);
		}
	}
}

#define TEXT(room, ...) ((struct bytes){ room, (size_t)snprintf(room, sizeof room, __VA_ARGS__) })

static void
refused(uint64_t n, struct bytes sender, struct bytes client)
{
	char id[16] = "P", to[64];
	struct event e = { .kind = LIFE_REFUSED, .session = n << 20 };

	for (int i = 1; i < 11; i++)
		id[i] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"[some(32)];
	e.text[TEXT_CLIENT] = client;
	e.text[TEXT_HELO] = client;
	e.text[TEXT_SENDER] = sender;
	e.text[TEXT_RECIPIENT] = TEXT(to, "nobody%llu@example.com", (unsigned long long)some(100000));
	e.text[TEXT_REPLY] = BYTES("550 5.1.1 Recipient address rejected: User unknown in virtual mailbox table");
	e.text[TEXT_RULE] = BYTES("smtpd_reject_unlisted_recipient");
	e.text[TEXT_ID] = bytes_of(id);
	e.text[TEXT_MOMENT] = BYTES("RCPT");
	add(&e);
	if (++refusals % 10000 == 9)
		printf("refusal %s\n", id);
}

static void
letter(uint64_t n)
{
	uint64_t id = UINT64_C(0x100000000) + n * 2347, rcpts = 1 + (some(5) == 0 ? some(5) : 0);
	char from[96], to[96], msgid[120], client[120], reply[160];
	struct event e = { .kind = LIFE_ACCEPTED, .letter = id, .session = n << 20 | 1, .number = 500 + some(50000) };
	struct bytes sender = TEXT(from, "person%llu@host%llu.example.org", (unsigned long long)some(400000), (unsigned long long)some(20000));
	struct bytes who = TEXT(client, "mail%llu.example.net[203.0.113.%llu]", (unsigned long long)some(30000), (unsigned long long)some(256));

	if (some(10) == 0) {
		refused(n, sender, who);
		return;
	}
	e.text[TEXT_CLIENT] = who;
	e.text[TEXT_HELO] = who;
	e.text[TEXT_PROTOCOL] = BYTES("ESMTPS");
	e.text[TEXT_TLS] = BYTES("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)");
	e.text[TEXT_MESSAGE_ID] = TEXT(msgid, "<%016llx.%llu@mail.example.org>", (unsigned long long)seed, (unsigned long long)n);
	e.text[TEXT_SENDER] = sender;
	e.text[TEXT_SERVICE] = BYTES("smtp");
	add(&e);
	for (uint64_t i = 0; i < rcpts; i++) {
		struct bytes rcpt = some(100) == 0 ? BYTES("office@example.com")
		                                   : TEXT(to, "user%llu@dom%llu.example.com", (unsigned long long)some(5000), (unsigned long long)some(50));
		if (i == 0) {
			e = (struct event){ .kind = LIFE_ENTERED, .letter = id, .number = e.number };
			e.text[TEXT_SENDER] = sender;
			e.text[TEXT_RECIPIENT] = rcpt;
			add(&e);
		}
		if (some(20) == 0) {
			e = (struct event){ .kind = LIFE_CONTACT, .letter = id };
			e.text[TEXT_RELAY] = TEXT(reply, "mx%d.dom%llu.example.com[192.0.2.1]:25", 1, (unsigned long long)some(50));
			e.text[TEXT_STATUS] = BYTES("4.4.1");
			e.text[TEXT_REPLY] = BYTES("connect: Connection refused");
			add(&e);
		}
		e = (struct event){ .kind = LIFE_ATTEMPT, .letter = id, .number = 1 };
		e.text[TEXT_RECIPIENT] = rcpt;
		e.text[TEXT_RELAY] = TEXT(reply, "mx%d.dom%llu.example.com[192.0.2.7]:25", 2, (unsigned long long)some(50));
		e.text[TEXT_TLS] = BYTES("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)");
		e.text[TEXT_STATUS] = BYTES("2.0.0");
		e.text[TEXT_HOW] = BYTES("sent");
		e.text[TEXT_REPLY] = BYTES("250 2.0.0 Ok: queued as 4F2k3b1Wz0z9");
		add(&e);
		if (n == 1000)
			printf("address %.*s\n", (int)rcpt.len, rcpt.at);
	}
	e = (struct event){ .kind = LIFE_REMOVED, .letter = id };
	add(&e);
	if (n % 100000 == 77)
		printf("letter %010llX\nmessage-id %s\nsender %s\n", (unsigned long long)id, msgid, from);
}

int
main(int argc, char **argv)
{
	const struct chronicle_limits limits = { .lifetime_s = 0 };
	struct buffer errors = { 0 };
	struct chronicle_counts counts;
	uint64_t want;
	int64_t end = clock_wall_us(), step;

	if (argc != 3)
		return 2;
	want = strtoull(argv[2], NULL, 10);
	now_us = end - INT64_C(86400) * 1000000 * (DAYS - 1);
	clock_pretend(now_us / 1000000);
	chronicle = chronicle_open(argv[1], &limits, &errors);
	if (chronicle == NULL)
		return fprintf(stderr, "%.*s\n", (int)errors.len, errors.at), 1;
	step = (end - now_us) / (int64_t)(want / 5 + 1);
	for (uint64_t n = 1; written < want; n++) {
		now_us += step > 50000 ? step - 50000 : 0;
		letter(n);
	}
	chronicle_flush(chronicle);
	chronicle_count(chronicle, &counts);
	printf("many office@example.com\nevents %llu\nbytes %llu\nfiles %u\n", (unsigned long long)counts.events,
	       (unsigned long long)counts.bytes, counts.files);
	chronicle_close(&chronicle);
	return 0;
}
