"""The node's executor: nothing waits for a service, and it rests between messages."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Int32
from std_srvs.srv import Trigger

from gsam_ros.node.executor import ShortCallbackExecutor

pytestmark = pytest.mark.alone

MESSAGES = 100


class CountingExecutor(ShortCallbackExecutor):
    """Counts how often it looked at each thing it could run: once per turn."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(2, **kwargs)
        self.looks: dict[object, int] = {}

    def can_execute(self, entity: Any) -> bool:
        self.looks[entity] = self.looks.get(entity, 0) + 1
        return super().can_execute(entity)


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture
def node(context: Context) -> Node:
    return Node("listener", context=context)


@pytest.fixture
def talker(context: Context) -> Node:
    return Node("talker", context=context)


@pytest.fixture
def executor(context: Context, node: Node) -> Iterator[CountingExecutor]:
    executor = CountingExecutor(context=context)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def spin_in_thread(executor: CountingExecutor) -> None:
    threading.Thread(target=executor.spin, daemon=True).start()


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_request_that_waits_for_a_thread_is_handed_on_once(
    node: Node, talker: Node, executor: CountingExecutor
) -> None:
    open_, answered = threading.Event(), []

    def wait(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert open_.wait(20)
        answered.append(request)
        return response

    clients = []
    for number in range(3):  # one more than there are threads
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(Trigger, f"wait{number}", wait, callback_group=group)
        clients.append(talker.create_client(Trigger, f"wait{number}"))
    ticks: list[None] = []
    node.create_timer(0.01, lambda: ticks.append(None))
    spin_in_thread(executor)
    for client in clients:
        assert client.wait_for_service(20)
        client.call_async(Trigger.Request())
    wait_for(lambda: len(executor._handed_on) == 3)
    so_far = len(ticks)
    wait_for(lambda: len(ticks) > so_far + 20)
    assert executor._pool._work_queue.qsize() == 1
    open_.set()
    wait_for(lambda: len(answered) == 3)
    wait_for(lambda: not executor._handed_on)


def test_it_rests_between_messages_while_another_thread_computes(
    node: Node, talker: Node, executor: CountingExecutor
) -> None:
    got: list[int] = []
    subscription = node.create_subscription(Int32, "number", lambda m: got.append(m.data), 200)
    publisher = talker.create_publisher(Int32, "number", 200)
    wait_for(lambda: publisher.get_subscription_count() == 1)
    done = threading.Event()

    def compute() -> None:  # holds the interpreter lock, as tracking does between two operations
        while not done.is_set():
            sum(range(1000))

    threading.Thread(target=compute, daemon=True).start()
    spin_in_thread(executor)
    for number in range(MESSAGES):
        publisher.publish(Int32(data=number))
        time.sleep(0.01)
    wait_for(lambda: len(got) == MESSAGES)
    done.set()
    assert got == list(range(MESSAGES))
    # One turn takes a message and one finds that there is no other.
    assert executor.looks[subscription] < 3 * MESSAGES


def test_messages_come_while_a_service_waits(
    node: Node, talker: Node, executor: CountingExecutor
) -> None:
    release, got = threading.Event(), []

    def wait(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = release.wait(20)
        return response

    node.create_service(Trigger, "wait", wait)
    node.create_subscription(
        Int32,
        "number",
        lambda message: got.append(message.data),
        10,
        callback_group=rclpy.callback_groups.ReentrantCallbackGroup(),
    )
    client = talker.create_client(Trigger, "wait")
    publisher = talker.create_publisher(Int32, "number", 10)
    spin_in_thread(executor)
    assert client.wait_for_service(10)
    wait_for(lambda: publisher.get_subscription_count() == 1)
    answer = client.call_async(Trigger.Request())
    time.sleep(0.1)
    publisher.publish(Int32(data=7))
    wait_for(lambda: got == [7])
    assert not answer.done()
    release.set()
    listener = rclpy.executors.SingleThreadedExecutor(context=talker.context)
    listener.add_node(talker)
    listener.spin_until_future_complete(answer, 10)
    assert answer.result().success


def test_it_is_shut_down_in_the_midst_of_callbacks(context: Context, node: Node) -> None:
    began = threading.Event()

    class SlowExecutor(ShortCallbackExecutor):
        """As on a busy machine, where another thread has its turn here."""

        def can_execute(self, entity: Any) -> bool:
            began.set()
            time.sleep(0.01)
            return super().can_execute(entity)

    node.create_timer(0.001, lambda: None)
    for _ in range(5):
        executor, failures = SlowExecutor(1, context=context), []
        executor.add_node(node)

        def spin(executor=executor, failures=failures) -> None:
            try:
                executor.spin()
            except BaseException as error:  # noqa: BLE001  it is looked at
                failures.append(error)

        spinner = threading.Thread(target=spin)
        spinner.start()
        began.clear()
        assert began.wait(20)
        assert executor.shutdown(timeout_sec=20)
        spinner.join(20)
        assert not spinner.is_alive()
        assert failures == []


def test_a_callback_that_does_not_end_is_not_waited_for(context: Context, node: Node) -> None:
    began, release = threading.Event(), threading.Event()
    executor = ShortCallbackExecutor(1, context=context)
    executor.add_node(node)
    node.create_timer(0.001, lambda: (began.set(), release.wait(20)))
    spinner = threading.Thread(target=executor.spin)
    spinner.start()
    assert began.wait(20)
    assert not executor.shutdown(timeout_sec=0.01)
    release.set()
    spinner.join(20)
    assert not spinner.is_alive()
    assert executor.shutdown(timeout_sec=20)


@pytest.mark.parametrize("kind", ["message", "service"])
def test_an_error_in_a_callback_ends_the_spinning(
    kind: str, node: Node, talker: Node, executor: CountingExecutor
) -> None:
    def fail(*_: Any) -> Any:
        raise ArithmeticError("of this callback")

    if kind == "message":
        node.create_subscription(Int32, "number", fail, 10)
        publisher = talker.create_publisher(Int32, "number", 10)
        wait_for(lambda: publisher.get_subscription_count() == 1)
        publisher.publish(Int32())
    else:
        node.create_service(Trigger, "fail", fail)
        client = talker.create_client(Trigger, "fail")
        assert client.wait_for_service(10)
        client.call_async(Trigger.Request())
    with pytest.raises(ArithmeticError, match="of this callback"):
        executor.spin()
