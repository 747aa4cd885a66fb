/*
 * clamd -- letters are scanned for viruses: what an administrator may say about it, and clamd's words
 *
 * From:     role/policy-clamd.c, which speaks with clamd; role/receiver-scan.c, which does what follows
 * Touches:  nothing
 *
 * A letter goes to clamd as clamd(8) has INSTREAM: "zINSTREAM" NUL, then pieces, each behind its length in four bytes, the last
 * of length 0; the reply ends with NUL.
 * clamd_place()  takes "unix:/path" or "inet:127.0.0.1:3310" apart; NULL, or what is wrong.
 * clamd_begin(), clamd_piece()  what is said, appended; a piece without bytes is the last.
 * clamd_version()  its reply to VERSION, "ClamAV 1.0.7/27460/Sat Nov 16 10:32:01 2024": which signatures it has, and of when.  False: it
 *                has none that tell.
 * clamd_reply()  what has come of the reply; `ended`: no more will.  *name: the virus, or why not.
 */
#ifndef POLICY_CLAMD_H
#define POLICY_CLAMD_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/setting.h"

enum scan_infected { INFECTED_ACCEPT, INFECTED_REJECT, INFECTED_QUARANTINE, INFECTED_DEFER, INFECTED_BLACKHOLE, INFECTED_MAILBOX };
enum scan_failed { SCAN_FAILED_DEFER, SCAN_FAILED_ACCEPT, SCAN_FAILED_REJECT };
enum scan_header { SCAN_HEADER_NO, SCAN_HEADER_ADD, SCAN_HEADER_REPLACE };
struct scan_settings {
	const char *socket, *hostname;
	int64_t size_most, timeout, signatures_ms;
	int     infected, failed, header;   /* the enums above                 */
	struct setting_list networks, logins;
};
extern const struct setting_table scan_setting_table;

enum { CLAMD_REPLY_MOST = 4096, CLAMD_PIECE = 64 << 10 };
enum clamd_answer { CLAMD_SHORT, CLAMD_CLEAN, CLAMD_INFECTED, CLAMD_FAILED };
struct clamd_place { bool is_path; struct bytes host; uint16_t port; };     /* host: the path, or an address */

const char *clamd_place(struct bytes text, struct clamd_place *out);
void clamd_begin(struct buffer *out);
void clamd_piece(struct bytes, struct buffer *out);
/* What it said, as it may stand in a reply, a field and the log: printable, without brackets, not long. */
struct bytes clamd_harmless(struct bytes said, struct arena *);
/* The fields of a letter that was scanned by `program` at `host`; the name, which is harmless, may be "". */
void clamd_fields(const char *program, const char *host, const char *status, struct bytes name, struct buffer *out);
bool clamd_version(struct bytes reply, uint64_t *number, int64_t *made);
enum clamd_answer clamd_reply(struct bytes arrived, bool ended, struct bytes *name);

#endif
