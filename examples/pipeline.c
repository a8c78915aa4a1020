/* SPDX-License-Identifier: CC0-1.0 */

/*
 * pipeline.c - print the first N primes with a chain of tasks
 *
 *	pipeline [N]
 *
 *	cc pipeline.c -o pipeline $(pkg-config --cflags --libs coloop)
 *
 * The first task of the chain counts 2, 3, 4, ...  Each number that comes out
 * at the end of the chain is a prime, and adds a task to the chain that lets
 * through what that prime doesn't divide.  The tasks run on all threads at
 * once, and yet the output is always the same: channels keep the order.
 *
 * The chain is ended from its end: closing the last channel makes the put of
 * the task before it fail, which closes its own input, and so on.
 */

#include <coloop.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIMES_MAX 10000

struct stage {
	struct co_channel *in;		/* NULL: count */
	struct co_channel *out;
	struct co_task *task;
	long prime;
};

struct chain {
	struct stage *stages;
	long length;			/* stages that were started */
	long wanted;
};

static int count(struct stage *stage)
{
	long number = 2;
	int rc;

	while ((rc = co_channel_put(stage->out, &number)) == 0)
		number++;
	return rc;
}

static int sift(struct stage *stage)
{
	long number;
	int rc;

	while ((rc = co_channel_get(stage->in, &number)) == 0) {
		if (number % stage->prime == 0)
			continue;
		rc = co_channel_put(stage->out, &number);
		if (rc != 0)
			break;
	}
	co_channel_close(stage->in);
	return rc;
}

static int run_stage(void *arg)
{
	struct stage *stage = arg;

	return stage->in == NULL ? count(stage) : sift(stage);
}

static int add_stage(struct chain *chain, struct co_channel *in, long prime)
{
	struct stage *stage = &chain->stages[chain->length];
	int rc = co_channel_create(NULL, sizeof(long), 16, &stage->out);

	if (rc != 0)
		return rc;
	stage->in = in;
	stage->prime = prime;
	rc = co_spawn(NULL, run_stage, stage, &stage->task);
	if (rc != 0)
		co_channel_destroy(stage->out);
	else
		chain->length++;
	return rc;
}

static int print_primes(struct chain *chain)
{
	struct co_channel *last = NULL;
	long prime = 0;
	int rc = add_stage(chain, NULL, 0);

	for (long i = 0; rc == 0 && i < chain->wanted; i++) {
		last = chain->stages[chain->length - 1].out;
		rc = co_channel_get(last, &prime);
		if (rc == 0) {
			printf("%ld\n", prime);
			rc = add_stage(chain, last, prime);
		}
	}
	return rc;
}

static void end_chain(struct chain *chain)
{
	if (chain->length > 0)
		co_channel_close(chain->stages[chain->length - 1].out);
	for (long i = 0; i < chain->length; i++)
		co_join(chain->stages[i].task, NULL);
	for (long i = 0; i < chain->length; i++)
		co_channel_destroy(chain->stages[i].out);
}

static int start(void *arg)
{
	struct chain *chain = arg;
	int rc;

	chain->stages = calloc((size_t)chain->wanted + 1,
			sizeof(*chain->stages));
	if (chain->stages == NULL)
		return -ENOMEM;
	rc = print_primes(chain);
	end_chain(chain);
	free(chain->stages);
	return rc;
}

int main(int argc, char **argv)
{
	struct chain chain = { NULL, 0, 25 };
	char *end = NULL;
	int rc;

	if (argc > 1)
		chain.wanted = strtol(argv[1], &end, 10);
	if (argc > 2 || (end != NULL && *end != '\0') ||
			chain.wanted < 1 || chain.wanted > PRIMES_MAX) {
		fprintf(stderr, "usage: pipeline [N]\n"
				"N is a number from 1 to %d.\n", PRIMES_MAX);
		return 2;
	}
	rc = co_run(start, &chain);
	if (rc != 0)
		fprintf(stderr, "pipeline: %s\n", strerror(-rc));
	return rc != 0;
}
