/*
 * conformance -- which documents are obeyed, printed from the cards and rows
 *
 * conformance_imap()  in Markdown to standard output: IMAP's commands and extensions.
 */
#ifndef COMMAND_CONFORMANCE_H
#define COMMAND_CONFORMANCE_H

int conformance_imap(void);

#endif
