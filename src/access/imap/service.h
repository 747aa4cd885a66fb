/*
 * service -- what all IMAP sessions of a keeper share
 *
 * The turns: a session that has more to do, or news to tell, is queued; one timer
 * gives each of them its milliseconds in the next turn of the loop.
 */
#ifndef ACCESS_IMAP_SERVICE_H
#define ACCESS_IMAP_SERVICE_H

#include "access/imap/answers.h"
#include "access/imap/session.h"

struct imap_service {
	struct loop        *loop;
	struct store       *store;
	struct imap_config  config;
	struct imap_needs   needs;
	void               *ctx;
	struct guests       guests;
	struct answers     *answers;
};

#endif
