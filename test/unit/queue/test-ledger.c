/* queue.db: what is stored comes back; a process that dies between two writes loses nothing it promised. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"
#include "queue/ledger.h"

static char home[64], path[128];

static void
fresh(void)
{
	(void)snprintf(home, sizeof home, "/tmp/unit-ledger-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(home) != NULL);
	(void)snprintf(path, sizeof path, "%s/queue.db", home);
}

static void
cleared(void)
{
	static const char *const names[] = { "", "-wal", "-shm", "-journal" };
	char                     name[160];

	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(home);
}

static struct ledger *
opened(void)
{
	struct buffer  errors = { 0 };
	struct ledger *g = ledger_open(path, &errors);

	SAME("no complaint", buffer_bytes(&errors), BYTES(""));
	HOLDS("it opens", g != NULL);
	return g;
}

static struct letter *
with(struct kit *k, uint64_t id, int recipients)
{
	struct letter *l = kit_letter(k, id, recipients);

	l->envelope_segment = 3;
	l->envelope_at = 0x123456789;
	l->content_segment = 2;
	l->content_at = 96;
	l->content_len = 5000000000;
	l->flags = 5;
	return l;
}

static void
test_round_trip(void **state)
{
	struct kit     k, again;
	struct ledger *g;
	struct letter *l;
	int64_t        wait;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	l = with(&k, UINT64_C(0x7000000012345678), 2);
	l->first->orcpt = "rfc822;Jill@Example.com";
	l->first->notify = 4;
	l->first->warned = true;
	l->handling = (struct handling){ 0, (int64_t)NOW * 2000000, 'R', true, 7, BYTES("x"), BYTES("smtp:[h]"), BYTES("r@s"), BYTES("+=") };
	queue_enter(k.queue, l);
	struct recipient *r = queue_next(k.queue, NOW_MS, &wait);
	r->account = 77;
	r->address = "else@example.com";
	r->detail = "todo";
	r->through = "al@example.com\ntom@example.com\n";
	queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	HOLDS("the other", queue_next(k.queue, NOW_MS, &wait) != r);
	HOLDS("again", queue_next(k.queue, NOW_MS, &wait) == r);
	queue_event(k.queue, r, EVENT_LATER, "4.3.1", "full; 'quoted' \"text\"", NOW_MS);
	int64_t     due = r->due_ms;
	const char *original = r->original;
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0 && l->stored && !l->unsaved);
	ledger_close(&g);

	kit_open(&again);
	g = opened();
	HOLDS("one", ledger_load(g, again.queue, 100) == 1);
	l = queue_find(again.queue, UINT64_C(0x7000000012345678));
	HOLDS("the letter", l != NULL && l->envelope_segment == 3 &&
	                            l->envelope_at == 0x123456789 && l->content_segment == 2 &&
	                            l->content_at == 96 && l->content_len == 5000000000 &&
	                            l->flags == 5 && l->arrived_us == (int64_t)NOW * 1000000 &&
	                            l->recipients == 2 && l->open == 2 && l->stored && !l->unsaved);
	SAME("sender", bytes_of(l->sender), BYTES("jack@example.com"));
	for (r = l->first; r != NULL && r->account != 77; r = r->next)
		continue;
	HOLDS("the one that waits", r != NULL && r->state == RECIPIENT_WAITING && r->known &&
	                                    r->tries == 1 && r->due_ms == due);
	HOLDS("handling", l->handling.by_us == (int64_t)NOW * 2000000 && l->handling.by_mode == 'R' &&
	                          l->handling.by_trace && l->handling.priority == 7);
	SAME("filter", l->handling.filter, BYTES("smtp:[h]"));
	HOLDS("who was warned is not again", r->warned != (r->next != NULL ? r->next->warned : l->first->warned));
	SAME("address", bytes_of(r->address), BYTES("else@example.com"));
	SAME("original", bytes_of(r->original), bytes_of(original));
	SAME("detail", bytes_of(r->detail), BYTES("todo"));
	SAME("by which names it came", bytes_of(r->through), BYTES("al@example.com\ntom@example.com\n"));
	SAME("status", bytes_of(r->status), BYTES("4.3.1"));
	SAME("text", bytes_of(r->text), BYTES("full; 'quoted' \"text\""));
	HOLDS("the other is still to be asked about",
	      queue_next(again.queue, NOW_MS, &wait)->state == RECIPIENT_NEW);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

/* Who was told is not told again; who was not, is. */
static void
test_refused_and_told(void **state)
{
	struct kit        k, again;
	struct ledger    *g;
	struct recipient *r[3];
	int64_t           wait;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	queue_enter(k.queue, with(&k, 9, 3));
	for (int i = 0; i < 3; i++) {
		r[i] = queue_next(k.queue, NOW_MS, &wait);
		r[i]->address = i == 0 ? "told@x" : i == 1 ? "untold@x" : "open@x";
	}
	queue_event(k.queue, r[0], EVENT_REFUSED, "5.1.1", "no", NOW_MS);
	queue_event(k.queue, r[1], EVENT_REFUSED, "5.1.1", "no", NOW_MS);
	queue_told(k.queue, r[0]);
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	HOLDS("one", ledger_load(g, again.queue, 100) == 1);
	for (const struct recipient *x = queue_find(again.queue, 9)->first; x != NULL; x = x->next)
		HOLDS("not the one who was told", strcmp(x->address, "told@x") != 0);
	HOLDS("the two others", queue_find(again.queue, 9)->open == 2);
	HOLDS("the role hears of the one who was not", again.refused == 1 && strcmp(again.last_refused->address, "untold@x") == 0);
	SAME("in the words there were", bytes_of(again.last_refused->text), BYTES("no"));
	HOLDS("it is not tried again", again.last_refused->state == RECIPIENT_DONE && again.last_refused->refused);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

static void
test_finished_letters_leave(void **state)
{
	struct kit     k, again;
	struct ledger *g;
	int64_t        wait;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	for (uint64_t id = 1; id <= 3; id++)
		queue_enter(k.queue, with(&k, id, 1));
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	struct letter *l = queue_find(k.queue, 2);
	ledger_finished(g, l);
	for (int i = 0; i < 3; i++) {
		struct recipient *r = queue_next(k.queue, NOW_MS, &wait);
		if (r->letter->id == 2) {
			queue_event(k.queue, r, EVENT_REFUSED, "5.1.1", "no", NOW_MS);
			queue_told(k.queue, r);
		}
	}
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	HOLDS("two", ledger_load(g, again.queue, 100) == 2 && queue_find(again.queue, 2) == NULL);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

static void
test_marks(void **state)
{
	struct kit     k;
	struct ledger *g;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	HOLDS("never heard of", ledger_mark(g, 4) == 0);
	ledger_mark_set(g, 4, 1000);
	ledger_mark_set(g, 4, 500);
	HOLDS("before it is written; it never goes back", ledger_mark(g, 4) == 1000);
	ledger_mark_set(g, 5, INT64_MAX);
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_mark_set(g, 4, 900);
	ledger_mark_set(g, 6, 1);
	ledger_close(&g);
	g = opened();
	HOLDS("after a restart", ledger_mark(g, 4) == 1000 && ledger_mark(g, 5) == INT64_MAX);
	HOLDS("what was not written is not there", ledger_mark(g, 6) == 0);
	ledger_mark_set(g, 5, INT64_MAX);
	ledger_segment_gone(g, 5);
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0 && ledger_mark(g, 5) == 0);
	ledger_close(&g);
	queue_close(&k.queue);
	cleared();
}

/* A child writes one checkpoint after the other and is killed anywhere.  Letters and marks are of one
   checkpoint, the last or the one before what we heard of. */
static void
test_killed_between_two_writes(void **state)
{
	(void)state;

	for (int round = 0; round < 12; round++) {
		struct kit     k;
		struct ledger *g;
		int            pipe_of[2], status;
		uint64_t       heard = 0, n;

		fresh();
		HOLDS("pipe", pipe(pipe_of) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			kit_open(&k);
			g = opened();
			for (n = 1;; n++) {
				queue_enter(k.queue, with(&k, n, 3));
				ledger_mark_set(g, 1, n);
				if (ledger_checkpoint(g, k.queue, SIZE_MAX) != 0 ||
				    write(pipe_of[1], &n, sizeof n) < 0)
					_exit(1);
			}
		}
		close(pipe_of[1]);
		while (heard < (uint64_t)(3 + round * 5) &&
		       read(pipe_of[0], &n, sizeof n) == (ssize_t)sizeof n)
			heard = n;
		usleep((useconds_t)(round * 137));
		kill(pid, SIGKILL);
		HOLDS("waited", waitpid(pid, &status, 0) == pid);
		while (read(pipe_of[0], &n, sizeof n) == (ssize_t)sizeof n)
			heard = n;
		close(pipe_of[0]);
		kit_open(&k);
		g = opened();
		long got = ledger_load(g, k.queue, 100);
		HOLDS("nothing that was promised is missing",
		      got >= (long)heard && got <= (long)heard + 1);
		HOLDS("marks and letters are of one piece", ledger_mark(g, 1) == (uint64_t)got);
		for (const struct letter *l = queue_oldest(k.queue); l != NULL; l = l->newer)
			HOLDS("letters are whole", l->recipients == 3);
		ledger_close(&g);
		queue_close(&k.queue);
		cleared();
	}
}

static void
test_refused_in_words(void **state)
{
	struct buffer  errors = { 0 };
	struct ledger *g;
	sqlite3       *db = NULL;
	int            fd;
	(void)state;

	fresh();
	g = opened();
	ledger_close(&g);
	HOLDS("raw",
	      sqlite3_open(path, &db) == SQLITE_OK &&
	              sqlite3_exec(db, "PRAGMA user_version=9", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	HOLDS("another version",
	      ledger_open(path, &errors) == NULL &&
	              bytes_search(buffer_bytes(&errors),
	                           BYTES("format version 9; this program knows version 4")) > 0);
	buffer_reset(&errors);
	fd = open(path, O_RDWR);
	HOLDS("spoil", fd >= 0 && pwrite(fd, "no database no database", 23, 0) == 23);
	close(fd);
	HOLDS("no database",
	      ledger_open(path, &errors) == NULL &&
	              bytes_search(buffer_bytes(&errors), BYTES("not a database")) > 0);
	buffer_free(&errors);
	cleared();
}

/* A row that no program of ours wrote does not lead out of the table of states. */
static void
test_strange_rows(void **state)
{
	struct kit     k, again;
	struct ledger *g;
	sqlite3       *db = NULL;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	queue_enter(k.queue, with(&k, 1, 1));
	queue_enter(k.queue, with(&k, 2, 1));
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	HOLDS("raw",
	      sqlite3_open(path, &db) == SQLITE_OK &&
	              sqlite3_exec(
			      db,
			      "UPDATE recipient SET state=199 WHERE letter=1; DELETE FROM recipient WHERE letter=2",
			      NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	kit_open(&again);
	g = opened();
	HOLDS("loaded", ledger_load(g, again.queue, 100) == 2);
	HOLDS("it waits", queue_find(again.queue, 1)->first->state == RECIPIENT_WAITING);
	HOLDS("a letter to nobody is finished",
	      queue_find(again.queue, 2) == NULL && again.finished == 1);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

/* A queue.db as 0.1 and 0.2 made it. */
static void
test_version_1(void **state)
{
	static const char old[] =
		"CREATE TABLE mark(segment INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
		"CREATE TABLE letter(id INTEGER PRIMARY KEY, envelope_segment INTEGER NOT NULL, envelope_at INTEGER NOT NULL,"
		" content_segment INTEGER NOT NULL, content_at INTEGER NOT NULL, content_len INTEGER NOT NULL,"
		" arrived_us INTEGER NOT NULL, flags INTEGER NOT NULL, sender TEXT NOT NULL);"
		"CREATE TABLE recipient(letter INTEGER NOT NULL REFERENCES letter(id) ON DELETE CASCADE, state INTEGER NOT NULL,"
		" account INTEGER NOT NULL, original TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, orcpt TEXT NOT NULL,"
		" notify INTEGER NOT NULL, tries INTEGER NOT NULL, due_ms INTEGER NOT NULL, status TEXT NOT NULL, text TEXT NOT NULL,"
		" known INTEGER NOT NULL);"
		"CREATE INDEX recipient_letter ON recipient(letter);"
		"INSERT INTO letter VALUES(5, 1, 2, 3, 4, 5, 6, 2, 'jack@example.com');"
		"INSERT INTO recipient VALUES(5, 1, 7, 'jill@example.com', 'jill@example.com', '', '', 0, 1, 9, '4.2.2', 'full', 1);"
		"PRAGMA user_version = 1;";
	struct kit     k;
	struct ledger *g;
	sqlite3       *db = NULL;
	(void)state;

	fresh();
	HOLDS("made", sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, old, NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	for (int time = 0; time < 2; time++) {
		kit_open(&k);
		g = opened();
		HOLDS("its letter", ledger_load(g, k.queue, 100) == 1 && queue_find(k.queue, 5) != NULL);
		HOLDS("nothing is asked of its handling", queue_find(k.queue, 5)->handling.by_mode == 0 &&
		                                                  !queue_find(k.queue, 5)->first->warned);
		queue_change(k.queue, queue_find(k.queue, 5));
		HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
		ledger_close(&g);
		queue_close(&k.queue);
	}
	cleared();
}

/* rfc3461:5.2.7: who hears that a name was opened hears it after a crash, too, and nothing is delivered to that name. */
static void
test_a_name_that_was_opened(void **state)
{
	struct kit        k, again;
	struct ledger    *g;
	struct recipient *r;
	struct letter    *l;
	int64_t           wait;
	(void)state;

	for (enum opened is = OPENED_NAME; is <= OPENED_LIST; is++) {
		fresh();
		kit_open(&k);
		g = opened();
		l = with(&k, 1, 1);
		l->first->notify = NOTIFY_SUCCESS;
		queue_enter(k.queue, l);
		r = l->first;
		queue_opened(k.queue, r, is);
		r->notify = 0;
		HOLDS("the role hears", k.reported == 1 && k.last_refused != r && k.last_refused->opened == is);
		HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
		ledger_close(&g);
		kit_open(&again);
		g = opened();
		HOLDS("one", ledger_load(g, again.queue, 100) == 1);
		l = queue_find(again.queue, 1);
		HOLDS("both are there", l != NULL && l->recipients == 2 && l->open == 2);
		HOLDS("the role hears again", again.reported == 1 && again.last_refused->opened == is &&
		                                      again.last_refused->state == RECIPIENT_DONE);
		r = queue_next(again.queue, NOW_MS, &wait);
		HOLDS("one is to be tried", r != NULL && r->opened == OPENED_NOT && queue_next(again.queue, NOW_MS, &wait) == NULL);
		queue_told(again.queue, again.last_refused);
		HOLDS("told", l->open == 1 && ledger_checkpoint(g, again.queue, SIZE_MAX) == 0);
		queue_event(again.queue, r, EVENT_DROP, NULL, NULL, NOW_MS);
		HOLDS("over", again.finished == 1);
		ledger_close(&g);
		queue_close(&k.queue);
		queue_close(&again.queue);
		cleared();
	}
}

/* Whose sender wishes to hear that it has arrived (rfc3461:4.1) and has not yet: it has it, and is not tried again by the next queue. */
static void
test_delivered_and_to_be_told_of(void **state)
{
	struct kit        k, again;
	struct ledger    *g;
	struct recipient *r;
	struct letter    *l;
	int64_t           wait;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	l = with(&k, 1, 2);
	l->first->notify = NOTIFY_SUCCESS;
	queue_enter(k.queue, l);
	r = l->first;
	queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	while (r->state != RECIPIENT_TRYING)
		HOLDS("its turn comes", queue_next(k.queue, NOW_MS, &wait) != NULL);
	queue_event(k.queue, r, EVENT_DELIVERED, "2.1.5", "taken", NOW_MS);
	HOLDS("the role hears", k.reported == 1 && k.last_refused == r);
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	HOLDS("one", ledger_load(g, again.queue, 100) == 1);
	l = queue_find(again.queue, 1);
	HOLDS("both are there", l != NULL && l->recipients == 2 && l->open == 2);
	HOLDS("the role hears again", again.reported == 1 && again.refused == 0);
	r = again.last_refused;
	HOLDS("of one that has it", r->state == RECIPIENT_DONE && r->opened == OPENED_NOT && r->notify == NOTIFY_SUCCESS);
	SAME("in these words", bytes_of(r->text), BYTES("taken"));
	HOLDS("the other alone is to be tried", queue_next(again.queue, NOW_MS, &wait) != r && queue_next(again.queue, NOW_MS, &wait) == NULL);
	queue_told(again.queue, r);
	HOLDS("told", l->open == 1 && ledger_checkpoint(g, again.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	queue_close(&again.queue);
	kit_open(&again);
	g = opened();
	HOLDS("and nothing is left of it", ledger_load(g, again.queue, 100) == 1 && again.reported == 0 &&
	                                           queue_find(again.queue, 1)->recipients == 1);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

/* A queue.db of version 3 has all that version 4 has; who knows 3 alone is kept from it. */
static void
test_version_3(void **state)
{
	struct kit     k;
	struct ledger *g;
	sqlite3       *db = NULL;
	sqlite3_stmt  *s = NULL;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	queue_enter(k.queue, with(&k, 1, 1));
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	queue_close(&k.queue);
	HOLDS("as before", sqlite3_open(path, &db) == SQLITE_OK &&
	                           sqlite3_exec(db, "PRAGMA user_version=3", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	kit_open(&k);
	g = opened();
	HOLDS("its letter", ledger_load(g, k.queue, 100) == 1);
	ledger_close(&g);
	queue_close(&k.queue);
	HOLDS("now", sqlite3_open(path, &db) == SQLITE_OK &&
	                     sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
	                     sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == 4);
	sqlite3_finalize(s);
	sqlite3_close(db);
	cleared();
}

/* Some at a time, while letters go, change and come. */
static void
test_loaded_in_pieces(void **state)
{
	struct kit        k, again;
	struct ledger    *g;
	struct recipient *r;
	int64_t           wait;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	for (uint64_t id = 1; id <= 100; id++)
		queue_enter(k.queue, with(&k, id, 1 + (int)(id % 3)));
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	HOLDS("thirty", ledger_load(g, again.queue, 30) == 30 && queue_count(again.queue) == 30);
	r = queue_next(again.queue, NOW_MS, &wait);
	ledger_finished(g, r->letter);
	for (struct recipient *x = r->letter->first, *next; x != NULL; x = next) {
		next = x->next;
		queue_event(again.queue, x, EVENT_DROP, NULL, NULL, NOW_MS);
	}
	queue_enter(again.queue, with(&again, 1000, 2));
	HOLDS("written meanwhile", ledger_checkpoint(g, again.queue, SIZE_MAX) == 0);
	HOLDS("thirty more", ledger_load(g, again.queue, 30) == 30);
	HOLDS("and the last", ledger_load(g, again.queue, 1000) == 40);
	HOLDS("one has gone, one has come", queue_count(again.queue) == 100 && queue_find(again.queue, 100) != NULL);
	for (struct letter *l = queue_oldest(again.queue); l != NULL; l = l->newer)
		HOLDS("with its recipients", l->recipients == (l->id == 1000 ? 2 : 1 + (uint32_t)(l->id % 3)));
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

/* A letter came while the rest was read, was stored, and is over before the reading comes to its row: it is not sent once more. */
static void
test_over_before_it_is_read(void **state)
{
	struct kit     k, again;
	struct ledger *g;
	int64_t        wait;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	for (uint64_t id = 1; id <= 10; id++)
		queue_enter(k.queue, with(&k, id, 1));
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	again.ledger = g;
	HOLDS("five", ledger_load(g, again.queue, 5) == 5);
	for (uint64_t id = 1000; id <= 1003; id++)
		queue_enter(again.queue, with(&again, id, 1));
	HOLDS("written meanwhile", ledger_checkpoint(g, again.queue, SIZE_MAX) == 0);
	for (int n = 0; n < 9; n++) {
		struct recipient *r = queue_next(again.queue, NOW_MS, &wait);

		/* Five that were read, and all that have come but one. */
		if (r->letter->id != 1001)
			queue_event(again.queue, r, EVENT_DROP, NULL, NULL, NOW_MS);
	}
	HOLDS("one is left", queue_count(again.queue) == 1 && again.finished == 8);
	HOLDS("and five are read", ledger_load(g, again.queue, 1000) == 5 && queue_count(again.queue) == 6);
	HOLDS("none that is over", queue_find(again.queue, 1000) == NULL && queue_find(again.queue, 1003) == NULL && queue_find(again.queue, 1001) != NULL);
	HOLDS("written", ledger_checkpoint(g, again.queue, SIZE_MAX) == 0);
	queue_close(&again.queue);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	HOLDS("nor after another start", ledger_load(g, again.queue, 1000) == 6 && queue_find(again.queue, 1002) == NULL);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

/* Of a thousand changes so many are written, the oldest first; new letters always. */
static void
test_written_in_pieces(void **state)
{
	struct kit        k, again;
	struct ledger    *g;
	struct recipient *r;
	int64_t           wait;
	int               changed = 0;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	for (uint64_t id = 1; id <= 100; id++)
		queue_enter(k.queue, with(&k, id, 1));
	HOLDS("all, for they are new", ledger_checkpoint(g, k.queue, 10) == 0);
	while ((r = queue_next(k.queue, NOW_MS, &wait)) != NULL)
		queue_event(k.queue, r, EVENT_LATER, "4.4.1", "nobody there", NOW_MS);
	queue_enter(k.queue, with(&k, 101, 1));
	HOLDS("some are left", ledger_checkpoint(g, k.queue, 60) == 1);
	ledger_close(&g);
	kit_open(&again);
	g = opened();
	HOLDS("all letters", ledger_load(g, again.queue, 1000) == 101);
	for (struct letter *l = queue_oldest(again.queue); l != NULL; l = l->newer)
		changed += *l->first->text != '\0';
	HOLDS("sixty changes", changed == 60);
	ledger_close(&g);
	g = opened();
	HOLDS("then the others", ledger_checkpoint(g, k.queue, 60) == 0);
	ledger_close(&g);
	queue_close(&k.queue);
	queue_close(&again.queue);
	cleared();
}

/* What SQLite itself says of the file, which nobody has open. */
static int
pages(void)
{
	sqlite3      *db;
	sqlite3_stmt *q;
	int           n;

	HOLDS("open", sqlite3_open(path, &db) == SQLITE_OK);
	HOLDS("asked", sqlite3_prepare_v2(db, "PRAGMA page_count", -1, &q, NULL) == SQLITE_OK &&
	                       sqlite3_step(q) == SQLITE_ROW);
	n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static void
test_shrinks_when_most_have_gone(void **state)
{
	enum { MANY = 30000, FEW = 10 };
	struct kit     k, again;
	struct ledger *g;
	(void)state;

	fresh();
	kit_open(&k);
	g = opened();
	for (uint64_t i = 1; i <= MANY; i++)
		queue_enter(k.queue, with(&k, i, 1));
	HOLDS("written", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_shrink(g);
	for (uint64_t i = FEW + 1; i <= MANY; i++)
		ledger_finished(g, queue_find(k.queue, i));
	HOLDS("gone", ledger_checkpoint(g, k.queue, SIZE_MAX) == 0);
	ledger_close(&g);
	HOLDS("they took room", pages() > 1000);
	g = opened();
	ledger_shrink(g);
	ledger_close(&g);
	HOLDS("the room is given back", pages() < 30);

	g = opened();
	kit_open(&again);
	HOLDS("the others are there", ledger_load(g, again.queue, MANY) == FEW);
	queue_close(&again.queue);
	queue_close(&k.queue);
	ledger_close(&g);
	cleared();
}

UNIT(test_delivered_and_to_be_told_of, test_over_before_it_is_read, test_shrinks_when_most_have_gone, test_a_name_that_was_opened, test_version_3, test_loaded_in_pieces, test_written_in_pieces, test_version_1, test_round_trip, test_refused_and_told, test_finished_letters_leave, test_marks,
     test_killed_between_two_writes, test_refused_in_words, test_strange_rows)
