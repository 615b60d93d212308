"""Asynchronous iteration, on the loop of asyncio and on that of trio."""

import asyncio
import itertools

import pytest
import trio
from conftest import descriptors, threads, wait_for_resources

import portmuster


def targets(port, count):
    return [(f"127.1.{number >> 8}.{number & 255}", port) for number in range(count)]


def test_async_for_has_the_results_of_for(refused):
    async def main():
        return [status async for status in portmuster.check_ports(targets(refused, 3000))]

    assert sorted(asyncio.run(main())) == sorted(portmuster.check_ports(targets(refused, 3000)))


def test_trio_iterates_too(refused):
    async def main():
        async with portmuster.check_ports(targets(refused, 3000)) as checks:
            return [status async for status in checks]

    assert len(trio.run(main)) == 3000


def test_timeout_cancels_the_wait_and_loses_no_result(serve, silent):
    async def main():
        server = serve()
        both = [("127.0.0.1", silent), ("127.0.0.1", server.port)]
        async with portmuster.check_ports(both, timeout=3600) as checks:
            first = await anext(aiter(checks))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(aiter(checks))
            return first, checks.account.targets

    first, count = asyncio.run(main())
    assert (first.open, count) == (True, 2)


def test_cancelled_task_closes_its_run(silent):
    async def consume(started):
        async with portmuster.check_ports([("127.0.0.1", silent)], timeout=3600) as checks:
            started.set_result(checks)
            async for _ in checks:
                pass

    async def main():
        started = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(consume(started))
        checks = await started
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return list(checks)

    assert asyncio.run(main()) == []


def test_trio_cancels_and_closes(silent):
    async def main():
        with trio.move_on_after(0.05):
            async with portmuster.check_ports([("127.0.0.1", silent)], timeout=3600) as checks:
                async for _ in checks:
                    pass
        return list(checks)

    assert trio.run(main) == []


def test_other_tasks_run_while_results_come(refused):
    async def main():
        turns = 0
        is_over = False

        async def ticker():
            nonlocal turns
            while not is_over:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(ticker())
        endless = (("127.1.0.1", refused) for _ in itertools.count())
        async with portmuster.check_ports(endless) as checks:
            count = 0
            async for _ in checks:
                count += 1
                if count == 20_000:
                    break
        is_over = True
        await task
        return turns

    assert asyncio.run(main()) >= 20_000 // 128


def test_exception_of_the_input_reaches_the_task(refused):
    def failing():
        yield "127.0.0.1", refused
        raise KeyError("broken inventory")

    async def main():
        return [status async for status in portmuster.check_ports(failing())]

    with pytest.raises(KeyError, match="broken inventory"):
        asyncio.run(main())


def test_close_ends_the_wait_of_a_task(silent):
    async def main():
        checks = portmuster.check_ports([("127.0.0.1", silent)], timeout=3600)
        iterator = aiter(checks)
        waiting = asyncio.create_task(anext(iterator))
        await asyncio.sleep(0)
        await asyncio.to_thread(checks.close)
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(main())


def test_second_task_that_waits_at_one_iterator_is_refused(silent):
    async def main():
        async with portmuster.check_ports([("127.0.0.1", silent)], timeout=3600) as checks:
            iterator = aiter(checks)
            first = asyncio.create_task(anext(iterator))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task is waiting"):
                await anext(iterator)
            first.cancel()

    asyncio.run(main())


def test_runs_in_a_loop_leak_nothing(refused):
    async def main():
        async def once():
            async with portmuster.check_ports(targets(refused, 10)) as checks:
                return [status async for status in checks]

        await once()
        before = threads(), descriptors()
        for _ in range(100):
            assert len(await once()) == 10
        # The loop's pool of threads, in which runs are closed, may have grown.
        wait_for_resources(before[0] + 32, before[1])

    asyncio.run(main())
