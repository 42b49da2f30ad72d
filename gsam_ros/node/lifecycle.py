"""A managed node that answers while a transition takes its time, and survives wrong requests."""

from __future__ import annotations

import traceback
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleNodeMixin
from rclpy.node import Node

from gsam_ros.errors import with_place

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(LifecycleNodeMixin, Node):
    """`rclpy.lifecycle.LifecycleNode` with three of its habits changed.

    - Its services have a callback group of their own, so that `get_state`, and everything else,
      is answered while `configure` loads a model (under an executor with several threads).
    - A transition that the state doesn't allow is refused; in rclpy it ends the process.
    - An error in a transition is logged; rclpy drops it.

    Subclasses implement `configure`, `activate`, `deactivate` and `release`; raising
    `TransitionError` fails the transition with its message, any other error leads through error
    processing back to unconfigured.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        Node.__init__(self, name, **kwargs)
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        change_state = self._service_change_state
        self._change_state = change_state.callback
        self.requests = 0
        """Transitions that somebody asked for by the service, so far."""
        self.failure = ""
        """Why the last transition that was tried failed, in one line; empty where it did not."""
        change_state.callback = self._change_state_or_refuse

    def destroy_node(self) -> None:
        """As of `Node`; the state machine, which rclpy keeps, would keep the node's handle."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    @property
    def state(self) -> str:
        """Label of the lifecycle state."""
        label: str = self._state_machine.current_state[1]
        return label

    def configure(self) -> None:
        """Get ready to work."""

    def activate(self) -> None:
        """Start to work."""

    def deactivate(self) -> None:
        """Stop to work, stay ready."""

    def release(self) -> None:
        """Give back what `configure` and `activate` took, as far as they came."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `configure`."""
        return self._attempt("configure")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `activate`."""
        return self._attempt("activate")

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `deactivate`."""
        return self._attempt("deactivate")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `release`."""
        return self._attempt("release")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `release`."""
        return self._attempt("release")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `release`."""
        failure = self.failure
        outcome = self._attempt("release")
        self.failure = failure  # what led here; what failed in this one is in the log
        return outcome

    def _attempt(self, step: str) -> TransitionCallbackReturn:
        # Replays wait for these lines as well: `replay.commands.NODE_FAILED`.
        self.failure = ""
        try:
            getattr(self, step)()
        except TransitionError as error:
            self.failure = f"{step} failed: {error}"
            self.get_logger().error(self.failure)
            return FAILURE
        except Exception as error:  # noqa: BLE001  rclpy would drop it without a word
            self.failure = f"{step} failed: {with_place(error)}"
            self.get_logger().error(f"{step} failed:\n{traceback.format_exc()}")
            return ERROR
        return SUCCESS

    def _change_state_or_refuse(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        self.requests += 1
        try:
            return self._change_state(request, response)
        except rclpy_implementation.RCLError:
            wanted = request.transition.label or request.transition.id
            self.get_logger().error(f"transition {wanted!r} is not possible while {self.state}")
            response.success = False
            return response


class TransitionError(RuntimeError):
    """A transition that can't be made now; the message says why and what to do."""
