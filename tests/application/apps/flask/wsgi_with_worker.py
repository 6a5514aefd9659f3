from shop import create_app

import jobq

app = create_app()
jobq.worker(max_processes=1).start()
