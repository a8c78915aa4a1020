/* SPDX-License-Identifier: MIT */
'use strict';

/* [name, what it is, address, kind] of all that can be found. */
const ENTRIES = [/* entries */];
const MOST = 12;
const SAME = 2;
const WEIGHT = { function: 3, page: 3, name: 2, section: 1, error: 0 };

/* How well ENTRY fits all of WORDS, in points; 0: not at all. */
function score(entry, words) {
	const name = entry[0].toLowerCase(), about = entry[1].toLowerCase();
	let sum = 0;

	for (const word of words) {
		const at = name.indexOf(word);

		if (name === word || name.replace(/\(\d\)$/, '') === word)
			sum += 100;
		else if (at === 0 || (at > 0 && /[^a-z0-9]/.test(name[at - 1])))
			sum += 40;
		else if (at > 0)
			sum += 20;
		else if (new RegExp('\\b' + word.replace(/[^\w]/g, '\\$&'))
				.test(about))
			sum += 8;
		else if (about.includes(word))
			sum += 4;
		else
			return 0;
	}

	return sum + WEIGHT[entry[3]] + 10 / name.length;
}

/* The entries that fit QUERY, the best first. */
function find(query) {
	const words = query.toLowerCase().replace(/\(\)/g, ' ').split(/\s+/)
		.filter(word => word !== '');

	if (words.length === 0)
		return [];

	return ENTRIES.map(entry => [score(entry, words), entry])
		.filter(pair => pair[0] > 0)
		.sort((a, b) => b[0] - a[0])
		.map(pair => pair[1])
		.filter(isNotTheSameAgain());
}

/* Sections of the same title are on many pages: the first few will do. */
function isNotTheSameAgain() {
	const seen = {};

	return ([name, , , kind]) => {
		seen[name] = (seen[name] ?? 0) + 1;
		return kind !== 'section' || seen[name] <= SAME;
	};
}

function item(entry) {
	const li = document.createElement('li');
	const a = document.createElement('a');
	const name = document.createElement('b');
	const about = document.createElement('span');

	a.href = entry[2];
	name.textContent = entry[0];
	about.textContent = entry[1];
	a.append(name, about);
	li.append(a);
	li.className = entry[3];

	return li;
}

function showFound(query, panel) {
	const found = find(query);
	const list = panel.querySelector('ol');

	list.replaceChildren(...found.slice(0, MOST).map(item));
	panel.querySelector('p').textContent = found.length === 0
		? 'Nothing found' : found.length > MOST
		? `${found.length} found, the best ${MOST}` : '';
	panel.hidden = query.trim() === '';
}

/* Go STEP entries on in the list; before the first is the field itself. */
function move(step, input, panel) {
	const stops = [input, ...panel.querySelectorAll('a')];
	const at = stops.indexOf(document.activeElement) + step;

	if (at >= 0 && at < stops.length)
		stops[at].focus();
}

function onKey(event, input, panel) {
	const inside = event.target === input || panel.contains(event.target);

	if (event.key === '/' && !inside && !event.ctrlKey && !event.metaKey
			&& !event.altKey) {
		input.focus();
		input.select();
	} else if (event.key === 'Escape' && inside) {
		panel.hidden = true;
		input.focus();
	} else if (event.key === 'ArrowDown' && inside) {
		if (panel.hidden)
			showFound(input.value, panel);
		move(1, input, panel);
	} else if (event.key === 'ArrowUp' && inside) {
		move(-1, input, panel);
	} else if (event.key === 'Enter' && event.target === input) {
		panel.querySelector('a')?.click();
	} else {
		return;
	}
	event.preventDefault();
}

function setUpSearch() {
	const box = document.querySelector('.search');
	const input = document.getElementById('query');
	const panel = document.getElementById('found');

	box.hidden = false;
	input.addEventListener('input', () => showFound(input.value, panel));
	input.addEventListener('focus', () => showFound(input.value, panel));
	document.addEventListener('keydown', event => onKey(event, input, panel));
	document.addEventListener('click', event => {
		if (!box.contains(event.target) || event.target.closest('a'))
			panel.hidden = true;
	});
	input.value = new URLSearchParams(location.search).get('q') ?? '';
	if (input.value !== '')
		input.focus();
}

/* A program that is whole can be taken along. */
function setUpCopying() {
	if (!navigator.clipboard)
		return;
	for (const pre of document.querySelectorAll('pre')) {
		const button = document.createElement('button');

		if (!/^int main/m.test(pre.textContent))
			continue;
		button.type = 'button';
		button.textContent = 'Copy';
		button.addEventListener('click', async () => {
			await navigator.clipboard.writeText(pre.textContent
				+ '\n');
			button.textContent = 'Copied';
			setTimeout(() => { button.textContent = 'Copy'; }, 2000);
		});
		const holder = document.createElement('div');
		holder.className = 'program';
		pre.replaceWith(holder);
		holder.append(pre, button);
	}
}

if (typeof document !== 'undefined') {
	/* Where there is no room beside the text, it would come before it. */
	if (matchMedia('(max-width: 78rem)').matches)
		document.querySelector('.contents').open = false;
	setUpSearch();
	setUpCopying();
}
