"""What happens in the shop."""

import asyncio

from shop import main

asyncio.run(main())
