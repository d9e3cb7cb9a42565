"""An endpoint by the aiocoap library that an RD proxies (draft 6.3): it registers over a connection that it keeps, and serves requests
that come by it if they are protected by OSCORE (RFC 8613). Arguments: URI to register at, and the folder of the security context with each
client."""

import asyncio
import sys

import aiocoap
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.transports.oscore import OSCOREAddress


class State(resource.ObservableResource):
    """GET, PUT and Observe."""

    def __init__(self):
        super().__init__()
        self.content = b"closed"

    async def render_get(self, request):
        require_protection(request)
        return aiocoap.Message(payload=self.content)

    async def render_put(self, request):
        require_protection(request)
        self.content = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


def require_protection(request):
    if not isinstance(request.remote, OSCOREAddress):
        raise aiocoap.error.Unauthorized


async def main(registration, *folders):
    site = resource.Site()
    site.add_resource(["state"], State())
    credentials = CredentialsMap()
    credentials.load_from_dict(
        {f":client{at}": {"oscore": {"basedir": folder}} for at, folder in enumerate(folders)}
    )
    context = await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, credentials), transports=["tcpclient"]
    )
    response = await context.request(
        aiocoap.Message(code=aiocoap.POST, uri=registration)
    ).response
    print("registered", response.code, flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main(*sys.argv[1:]))
