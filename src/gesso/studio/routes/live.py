"""Drawing while something is moved."""

from fastapi import APIRouter, WebSocket

from gesso.studio.routes.common import house_of

__all__ = ["router"]


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api/live")

    @routes.websocket("/explore/{number}")
    async def explore(socket: WebSocket, number: int) -> None:
        """A run's pictures, as sliders move."""
        from gesso.studio.live.sockets import explore

        await socket.accept()
        await explore(socket, house_of(socket).drawer, number)

    @routes.websocket("/paint/{dataset}")
    async def paint(socket: WebSocket, dataset: str) -> None:
        """What is painted, in the manner of a data set."""
        from gesso.studio.live.sockets import paint

        await socket.accept()
        await paint(socket, house_of(socket).drawer, dataset)

    return routes
