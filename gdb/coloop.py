# SPDX-License-Identifier: MIT
"""Tasks of libcoloop in gdb, of a live process and of a core file.

    info coloop loops           the loops, and what their threads do
    info coloop tasks [LOOP]    the tasks, and what each does
    coloop bt TASK|all [ARGS]   where tasks are: backtrace ARGS of each
    coloop task TASK [COMMAND]  look at a task as if it were a thread
    coloop task                 look at the thread again
    coloop gcore [FILE]         generate-core-file, with all stacks

Nothing of the process is changed.  A task that runs has a thread, and its
frames are that thread's.  For one that doesn't, an unwinder says that the
caller of the selected thread's innermost frame is where the task left its
stack: then gdb itself goes on from there, and a filter hides that first frame.

What this relies on is in doc/design.md, "Seen from outside".
"""

import functools

import gdb
import gdb.unwinder

# As in lib/frame.c.
COLOURS = 8
COLOUR = 128
LINE = 64

# As in lib/wait.h, lib/slot.h, lib/task.h.
ARMED = 1
SLOT_READY = 1
KIND = 15

DOES = {
    'CO__IN_NOTHING': 'waits',
    'CO__IN_SUSPEND': 'is suspended',
    'CO__IN_JOIN': 'waits in co_join',
    'CO__IN_SLEEP': 'sleeps',
    'CO__IN_LOCK': 'waits in co_lock_acquire',
    'CO__IN_PUT': 'waits in co_channel_put',
    'CO__IN_GET': 'waits in co_channel_get',
    'CO__IN_SELECT': 'waits in co_select',
    'CO__IN_READ': 'waits to read',
    'CO__IN_WRITE': 'waits to write',
    'CO__IN_WAIT_FD': 'waits for events',
    'CO__IN_BLOCKING': 'waits in co_blocking',
    'CO__IN_GROUP': 'waits for a group of tasks',
}
OF_FDS = ('CO__IN_READ', 'CO__IN_WRITE', 'CO__IN_WAIT_FD')

# Where the registers are in a ucontext_t, which only systems without an
# assembly file need: gdb's names of them, and paths in uc_mcontext.  `pc' is
# where swapcontext() returns to.
UCONTEXT = {
    'i386:x86-64': {'rip': 'gregs[16]', 'rsp': 'gregs[15]',
                    'rbp': 'gregs[10]', 'rbx': 'gregs[11]',
                    'r12': 'gregs[4]', 'r13': 'gregs[5]',
                    'r14': 'gregs[6]', 'r15': 'gregs[7]'},
    'i386': {'eip': 'gregs[14]', 'esp': 'gregs[7]', 'ebp': 'gregs[6]',
             'ebx': 'gregs[8]', 'esi': 'gregs[5]', 'edi': 'gregs[4]'},
    'arm': dict({'pc': 'arm_pc', 'sp': 'arm_sp', 'lr': 'arm_lr',
                 'r11': 'arm_fp', 'cpsr': 'arm_cpsr'},
                **{f'r{n}': f'arm_r{n}' for n in range(4, 11)}),
    'riscv:rv64': dict({'pc': '__gregs[0]', 'sp': '__gregs[2]',
                        'ra': '__gregs[1]', 'fp': '__gregs[8]',
                        's1': '__gregs[9]'},
                       **{f's{n}': f'__gregs[{n + 16}]'
                          for n in range(2, 12)}),
    's390:64-bit': dict({'pc': 'gregs[14]', 'sp': 'gregs[15]'},
                        **{f'r{n}': f'gregs[{n}]' for n in range(6, 15)}),
}


def number(text):
    """The value of an expression, as an unsigned number."""
    return int(gdb.parse_and_eval(text).cast(gdb.lookup_type('unsigned long')))


def pointer(address, name):
    """ADDRESS as a pointer to the struct NAME."""
    return gdb.Value(address).cast(
        gdb.lookup_type(f'struct {name}').pointer())


@functools.lru_cache(maxsize=1000)
def place(address, inlined=False):
    """The function that ADDRESS is in, perhaps an inlined one, and the line."""
    if gdb.selected_frame().architecture().name().startswith('arm'):
        address &= ~1       # which says that it is Thumb code
    block = gdb.block_for_pc(address) if inlined else None
    while block is not None and block.function is None:
        block = block.superblock
    if block is not None:
        name = block.function.print_name
    else:
        text = gdb.execute(f'info symbol {address:#x}', to_string=True)
        if text.startswith('No symbol'):
            return f'{address:#x}'
        name = text.split(' in section ')[0].split(' + ')[0]
    line = gdb.find_pc_line(address)
    if line.symtab is not None and line.line != 0:
        name += f' at {line.symtab.filename.rsplit("/", 1)[-1]}:{line.line}'
    return name


# --- What the library has ---------------------------------------------------

@functools.lru_cache(maxsize=None)
def kind_of(value):
    """The name of a number of the kind of a wait."""
    kinds = gdb.lookup_type('enum co__wait_kind').fields()
    return next((k.name for k in kinds if k.enumval == value), '?')


class Slab:
    """Some stacks of one size."""

    def __init__(self, value):
        self.base = int(value['base'])
        self.shift = int(value['size_class'])
        self.made = int(value['made'])
        block = gdb.lookup_type('struct co_task').sizeof
        self.block = (block + LINE - 1) // LINE * LINE

    def task_address(self, index):
        """Of the control block of frame INDEX."""
        return (self.base + (index + 1 << self.shift)
                - index % COLOURS * COLOUR - self.block)

    def find(self, address):
        """The control block of the stack that ADDRESS is in, or None."""
        index = address - self.base >> self.shift
        if not 0 <= index < self.made:
            return None
        task = self.task_address(index)
        return task if address < task else None


class Task:
    """A control block, as it was when it was read, all at once."""

    def __init__(self, address, block_type, loop):
        self.address = address
        memory = gdb.selected_inferior().read_memory(address,
                                                     block_type.sizeof)
        self.block = gdb.Value(memory.tobytes(), block_type)
        if int(self.block['loop']) != loop.address:
            raise gdb.MemoryError(f'no task at {address:#x}')

    @property
    def in_use(self):
        return int(self.block['in_use']) != 0

    @property
    def has_ended(self):
        """It waits to be joined."""
        return (not self.in_use
                and int(self.block['joined']['word']) == SLOT_READY)

    @property
    def has_run(self):
        return int(self.block['worker']) != 0

    @property
    def stack_bottom(self):
        return int(self.block['stack_bottom'])

    @property
    def end(self):
        return self.address + self.block.type.sizeof

    @property
    def name(self):
        return self.block['name'].string('utf-8', 'replace')

    @property
    def code(self):
        """The address of its function."""
        return int(self.block['fn'])

    @property
    def function(self):
        text = place(self.code)
        # The return address of the call, if it is noted.
        try:
            spawned_at = int(self.block['spawned_at'])
        except gdb.error:
            return text
        return (f'{text}; spawned at {place(spawned_at - 1, True)}'
                if spawned_at != 0 else text)

    def waits(self):
        kind = kind_of(int(self.block['kind']) & KIND)
        text = DOES.get(kind, f'waits, {kind}')
        target = int(self.block['object'])
        if kind in OF_FDS:
            return f"{text}, fd {int(pointer(target, 'co_io')['fd'])}"
        if kind == 'CO__IN_BLOCKING':
            return f'{text}, {place(target)}'
        # A task that waits on itself waits at its gate.
        if target in (0, self.address) or kind == 'CO__IN_SELECT':
            return text
        return f'{text}, {target:#x}'

    def state(self, thread):
        """What it does, THREAD being the one on its stack, or None."""
        if thread is not None:
            return f'runs on thread {thread.num}'
        if self.has_ended:
            return (f"has ended with {int(self.block['result'])}, "
                    'and is to be joined')
        if not self.has_run:
            return 'has not run yet'
        if int(self.block['wait']) & ARMED:
            return self.waits()
        return 'is ready to run'

    def describe(self, thread):
        return (f'task {self.address:#x} "{self.name}" '
                f'{self.state(thread)}: {self.function}')


class Loop:
    """A loop, with the slabs that its tasks are in."""

    def __init__(self, address):
        self.address = address
        self.value = pointer(address, 'co_loop').dereference()
        self.slabs = []
        slab = int(self.value['frames']['slabs'])
        while slab != 0:
            value = pointer(slab, 'co__slab').dereference()
            self.slabs.append(Slab(value))
            slab = int(value['next'])
        self.missing = 0

    def tasks(self):
        """All that have not been released.  `missing' counts those that can't
        be read."""
        block_type = gdb.lookup_type('struct co_task')
        self.missing = 0
        for slab in reversed(self.slabs):
            for index in range(slab.made):
                try:
                    task = Task(slab.task_address(index), block_type, self)
                except gdb.MemoryError:
                    self.missing += 1
                    continue
                if task.in_use or task.has_ended:
                    yield task

    def find(self, address):
        found = (slab.find(address) for slab in self.slabs)
        return next((task for task in found if task is not None), None)

    def workers(self):
        return [self.value['workers'][i]
                for i in range(int(self.value['threads']))]

    def warn(self):
        if self.missing:
            print(f'{self.missing} stacks of loop {self.address:#x} are not '
                  'in the core file.  gdb leaves them out where it finds a '
                  "guard page\nthat it can't read; `coloop gcore', and the "
                  "kernel's own core files, have them.")


def newest_loops():
    """The address of each list of loops: there is one for each copy of the
    library, static or shared."""
    lists = {}
    for objfile in gdb.objfiles():
        symbol = objfile.lookup_global_symbol('co__loops',
                                              gdb.SYMBOL_VAR_DOMAIN)
        if symbol is not None:
            value = symbol.value()
            lists[int(value.address)] = value
    return lists.values()


def has_library():
    """Whether the program has the library, whatever of it gdb knows."""
    try:
        gdb.parse_and_eval('(char *)&co_loop_run')
        return True
    except gdb.error:
        return False


def loops():
    """All loops, newest first, or a gdb.GdbError that says why not.  Each
    command begins with this: what is remembered is of one command."""
    place.cache_clear()
    kind_of.cache_clear()
    if gdb.selected_thread() is None:
        raise gdb.GdbError('The program is not being run.')
    lists = newest_loops()
    if not lists and has_library():
        raise gdb.GdbError(
            'There is no debug information of libcoloop: install its package '
            'with that,\nlibcoloop0-dbgsym, or build it with -g and don\'t '
            'strip it.')
    if not lists:
        raise gdb.GdbError('The program has no libcoloop, or one without '
                           'debug information.')
    found = []
    for value in lists:
        mask = (1 << 8 * value.type.sizeof) - 1
        address = ~int(value) & mask
        while address != 0:
            found.append(Loop(address))
            address = ~int(found[-1].value['older']) & mask
    return found


# --- Threads ----------------------------------------------------------------

class Session:
    """What is selected, to be put back.  Used by `with'."""

    def __enter__(self):
        self.thread = gdb.selected_thread()
        self.task = parked.task
        self.level = gdb.selected_frame().level()
        return self

    def __exit__(self, *exception):
        parked.select(None)
        self.thread.switch()
        if self.task is not None:
            parked.select(self.task)
        frame = gdb.newest_frame()
        while frame is not None and frame.level() < self.level:
            frame = frame.older()
        if frame is not None:
            frame.select()
        return False


def stack_pointers():
    """The stack pointer of each thread, and, while it handles a signal on
    another stack, those of what it was doing."""
    with Session():
        for thread in sorted(gdb.selected_inferior().threads(),
                             key=lambda t: t.num):
            if not thread.is_stopped() or not thread.is_valid():
                continue
            thread.switch()
            frame = gdb.newest_frame()
            yield thread, int(frame.read_register('sp'))
            try:
                for _ in range(20):
                    signalled = frame.type() == gdb.SIGTRAMP_FRAME
                    frame = frame.older()
                    if frame is None:
                        break
                    if signalled:
                        yield thread, int(frame.read_register('sp'))
            except gdb.error:
                pass    # as far as gdb can tell


def threads_of_tasks(all_loops):
    """The thread on the stack of each task that has one, by its address."""
    found = {}
    for thread, stack_pointer in list(stack_pointers()):
        for loop in all_loops:
            task = loop.find(stack_pointer)
            if task is not None:
                found.setdefault(task, thread)
    return found


# --- Where a task left its stack --------------------------------------------

class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def saved_registers(task, architecture):
    """What gdb is to take for the registers of TASK, by name."""
    context = task.block['context']
    if any(f.name == 'stack_pointer' for f in context.type.fields()):
        return {'rip': int(context['saved']),
                'rsp': int(context['stack_pointer']),
                'rbp': int(context['frame_pointer'])}
    try:
        # In the midst of the switch, where its stack has the shape that the
        # tables for unwinding describe.
        return {'pc': number('&co__context_parked'),
                'sp': int(context['saved'])}
    except gdb.error:
        pass
    names = UCONTEXT.get('arm' if architecture.startswith('arm')
                         else architecture)
    if names is None:
        raise gdb.error(f'The registers in a ucontext_t of {architecture} are '
                        'not known.')
    place = f"((ucontext_t *){int(context['saved']):#x})->uc_mcontext."
    return {name: number(place + path) for name, path in names.items()}


# The registers that `pc' and `sp' are, where those are no names of their own.
OWN_NAMES = {
    'i386': {'pc': 'eip', 'sp': 'esp'},
    's390': {'sp': 'r15'},
    'powerpc': {'sp': 'r1'},
}


class Parked(gdb.unwinder.Unwinder):
    """Says that a task is what called the innermost frame of a thread."""

    def __init__(self):
        super().__init__('coloop')
        self.set_task(None)
        self.thread = None
        self.registers = {}
        self.place = None
        self.level = None

    def set_task(self, task):
        """Nobody else's backtraces come through here."""
        self.task = task
        self.enabled = hide_thread.enabled = task is not None

    def select(self, task):
        """Show TASK, which no thread runs, in the selected thread; or nothing
        if it is None."""
        if self.task is not None:
            self.set_task(None)
            gdb.invalidate_cached_frames()
        if task is None:
            return
        frame = gdb.newest_frame()
        architecture = frame.architecture().name()
        registers = saved_registers(task, architecture)
        own = OWN_NAMES.get(architecture.split(':')[0], {})
        self.registers = {own.get(name, name): value
                          for name, value in registers.items()}
        self.place = (int(frame.read_register('pc')),
                      int(frame.read_register('sp')))
        self.sp = next(registers[name] for name in ('sp', 'rsp', 'esp')
                       if name in registers)
        self.thread = gdb.selected_thread().ptid
        self.level = None
        self.set_task(task)
        gdb.invalidate_cached_frames()

    def is_shown(self):
        thread = gdb.selected_thread()
        return (self.task is not None and thread is not None
                and thread.ptid == self.thread)

    def __call__(self, pending):
        if not self.is_shown():
            return None
        pc, sp = pending.read_register('pc'), pending.read_register('sp')
        if (int(pc), int(sp)) != self.place:
            return None
        self.level = pending.level()
        info = pending.create_unwind_info(
            FrameId(gdb.Value(self.sp).cast(sp.type), pc))
        for name, value in self.registers.items():
            own = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(own))
        return info

    def frame(self):
        """The innermost frame of what is shown."""
        frame = gdb.newest_frame()
        if not self.is_shown():
            return frame
        while frame.older() is not None and (
                self.level is None or frame.level() <= self.level):
            frame = frame.older()
        return frame


class HideThread:
    """A filter of backtraces: without the frames of the thread itself."""

    def __init__(self):
        self.name = 'coloop'
        self.priority = 100
        self.enabled = False

    def filter(self, frames):
        if not parked.is_shown():
            return frames
        first = parked.frame().level()
        return (frame for frame in frames
                if frame.inferior_frame().level() >= first)


def show(task, threads):
    """Make gdb show TASK.  False if it has no frames."""
    parked.select(None)
    thread = threads.get(task.address)
    if thread is not None:
        thread.switch()
        gdb.newest_frame().select()
        return True
    if task.has_ended or not task.has_run:
        return False
    parked.select(task)
    parked.frame().select()
    return True


def find_tasks(all_loops, text):
    """The tasks that TEXT means: all, a name, or an expression, the address of
    a task or of what tasks run."""
    tasks = [task for loop in all_loops for task in loop.tasks()]
    if text == 'all':
        return tasks
    found = [task for task in tasks if task.name == text]
    if not found:
        try:
            address = number(text)
        except gdb.error:
            address = None
        found = [task for task in tasks
                 if address in (task.address, task.code)]
    if not found:
        raise gdb.GdbError(f'There is no task {text}.')
    return found


def split(argument):
    """The first word, or what is in quotes, and the rest."""
    argument = argument.strip()
    if argument[:1] in ('"', "'"):
        word, _, rest = argument[1:].partition(argument[0])
    else:
        word, _, rest = argument.partition(' ')
    return word, rest.strip()


# --- Commands ---------------------------------------------------------------

class Command(gdb.Command):
    """A command that fails in plain words."""

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        try:
            self.run(argument, from_tty)
        except gdb.error as error:
            raise gdb.GdbError(str(error))


class InfoLoops(Command):
    """The loops of the program, and what their threads do."""

    def __init__(self):
        super().__init__('info coloop loops', gdb.COMMAND_STATUS)

    def run(self, argument, from_tty):
        found = loops()
        threads = threads_of_tasks(found)
        if not found:
            print('There is no loop.')
        for loop in found:
            self.show(loop, threads)

    def show(self, loop, threads):
        value, workers = loop.value, loop.workers()
        tasks = int(value['spawned_outside']) + sum(
            int(w['spawned']) - int(w['ended']) for w in workers)
        mask = (1 << 8 * value['stop'].type.sizeof) - 1
        runs = 'runs' if int(value['running']) else "doesn't run"
        print(f'loop {loop.address:#x} {runs}: {tasks & mask} tasks, '
              f"backend {value['os']['name'].string()}")
        for worker in workers:
            task = int(worker['current'])
            does = 'looks for work'
            if task != 0:
                thread = threads.get(task)
                does = f'runs task {task:#x}'
                if thread is not None:
                    does += f' on thread {thread.num}'
            elif worker['is_idle']:
                does = 'sleeps'
                if worker['is_polling']:
                    does += ' in the poller'
            elif not int(value['running']):
                does = 'has no thread'
            print(f"  worker {int(worker['index'])} {does}")


class InfoTasks(Command):
    """The tasks of the program, or of one LOOP, and what each does.
Usage: info coloop tasks [LOOP]"""

    def __init__(self):
        super().__init__('info coloop tasks', gdb.COMMAND_STATUS,
                         gdb.COMPLETE_EXPRESSION)

    def run(self, argument, from_tty):
        found = loops()
        threads = threads_of_tasks(found)
        if argument.strip():
            address = number(argument)
            found = [loop for loop in found if loop.address == address]
            if not found:
                raise gdb.GdbError(f'There is no loop at {argument}.')
        for loop in found:
            for task in loop.tasks():
                thread = threads.get(task.address)
                print(task.describe(thread))
            loop.warn()


class Backtrace(Command):
    """Show where tasks are.
Usage: coloop bt TASK|all [ARGUMENT]...
TASK is the name of tasks, a function that they run, or the address of one.
The ARGUMENTs are those of the command `backtrace', such as -full."""

    def __init__(self):
        super().__init__('coloop bt', gdb.COMMAND_STACK,
                         gdb.COMPLETE_EXPRESSION)

    def run(self, argument, from_tty):
        word, rest = split(argument)
        if not word:
            raise gdb.GdbError('Which task?  An address, a name, or all.')
        found = loops()
        threads = threads_of_tasks(found)
        with Session():
            for task in find_tasks(found, word):
                print(task.describe(threads.get(task.address)))
                try:
                    if show(task, threads):
                        gdb.execute(f'backtrace {rest}')
                except gdb.error as error:
                    print(error)    # the others may be sound
                print()
        for loop in found:
            loop.warn()


class SelectTask(Command):
    """Look at a task as if it were a thread: its frames, its variables.
Usage: coloop task TASK [COMMAND]
       coloop task
With a COMMAND that is done for the task only.  Without TASK the thread is shown
again, as it is when the program goes on.  The program still runs, steps and
finishes by its threads, so don't step while a task is shown that doesn't run."""

    def __init__(self):
        super().__init__('coloop task', gdb.COMMAND_STACK,
                         gdb.COMPLETE_EXPRESSION)

    def run(self, argument, from_tty):
        word, command = split(argument)
        if not word:
            if gdb.selected_thread() is None:
                raise gdb.GdbError('The program is not being run.')
            parked.select(None)
            gdb.newest_frame().select()
            gdb.execute('frame')
            return
        found = loops()
        threads = threads_of_tasks(found)
        tasks = find_tasks(found, word)
        if command:
            with Session():
                for task in tasks:
                    if show(task, threads):
                        gdb.execute(command)
            return
        if len(tasks) > 1:
            raise gdb.GdbError(f'There are {len(tasks)} tasks {word}: '
                               'choose one by its address.')
        print(tasks[0].describe(threads.get(tasks[0].address)))
        if show(tasks[0], threads):
            gdb.execute('frame')


class CoreFile(Command):
    """Save a core file, as generate-core-file does, with the stacks of all tasks.
Usage: coloop gcore [FILE]
gdb leaves out what follows a guard page that can't be read, and nearly each
stack has one.  What is missing is written into the file afterwards."""

    def __init__(self):
        super().__init__('coloop gcore', gdb.COMMAND_FILES,
                         gdb.COMPLETE_FILENAME)

    def run(self, argument, from_tty):
        found = loops()
        inferior = gdb.selected_inferior()
        name = argument.strip() or f'core.{inferior.pid}'
        text = gdb.execute(f'generate-core-file {name}', to_string=True)
        with open(name, 'r+b') as file:
            segments = self.segments(file)
            for loop in found:
                for task in loop.tasks():
                    self.add(file, segments, task.stack_bottom, task.end)
                for slab in loop.slabs:
                    for index in range(slab.made):
                        task = slab.task_address(index)
                        self.add(file, segments, task, task + slab.block)
        print(text.splitlines()[-1] if text else f'Saved {name}')

    @staticmethod
    def segments(file):
        """Address, offset and size of each piece of memory in FILE."""
        file.seek(0)
        identity = file.read(16)
        word = 8 if identity[4] == 2 else 4
        order = 'little' if identity[5] == 1 else 'big'

        def field(at, size):
            file.seek(at)
            return int.from_bytes(file.read(size), order)

        headers, size, count = ((field(32, 8), field(54, 2), field(56, 2))
                                if word == 8 else
                                (field(28, 4), field(42, 2), field(44, 2)))
        return [tuple(field(headers + n * size + part * word, word)
                      for part in (2, 1, 4))
                for n in range(count) if field(headers + n * size, 4) == 1]

    def add(self, file, segments, start, end):
        """Write what is in memory from START to END."""
        for address, offset, size in segments:
            first, last = max(address, start), min(address + size, end)
            while first < last:
                length = min(last - first, 1 << 20)
                memory = gdb.selected_inferior().read_memory(first, length)
                file.seek(offset + first - address)
                file.write(memory)
                first += length


class Prefix(gdb.Command):
    """Tasks of libcoloop."""

    def __init__(self, name, kind):
        super().__init__(name, kind, prefix=True)


def forget(event):
    """The program goes on, or ends: nothing is shown but its threads."""
    parked.set_task(None)


hide_thread = HideThread()
parked = Parked()
gdb.unwinder.register_unwinder(None, parked, replace=True)
gdb.frame_filters['coloop'] = hide_thread
gdb.events.cont.connect(forget)
gdb.events.exited.connect(forget)
Prefix('coloop', gdb.COMMAND_STACK)
Prefix('info coloop', gdb.COMMAND_STATUS)
for command in (InfoLoops, InfoTasks, Backtrace, SelectTask, CoreFile):
    command()
