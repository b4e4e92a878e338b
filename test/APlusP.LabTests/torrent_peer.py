"""One BitTorrent peer on libtorrent (python3-libtorrent), for the lab.

torrent_peer.py TORRENT DIRECTORY PORT RATE SETTING...

DIRECTORY holds the file of the torrent, or will. RATE limits its payload in octets a second, both ways, until SIGUSR1 comes. A SETTING is
one of libtorrent's that is switched on. Peers are those that the torrent's tracker names. Standard output gets a line of JSON at each change:
the progress in percent, and the peers with whom hands are shaken; and a line "# ..." whenever a connection ends.
"""
import json
import signal
import sys
import time

import libtorrent as lt

torrent, directory, port, rate, *settings = sys.argv[1:]

session = lt.session({
    "listen_interfaces": "0.0.0.0:" + port,
    # TCP alone, and no peers but those that the tracker names: the test says who meets whom.
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_utp": False, "enable_incoming_utp": False,
    "upload_rate_limit": int(rate), "download_rate_limit": int(rate),
    # A peer that is refused comes again soon, and does not give up.
    "min_reconnect_time": 1, "max_failcount": 1000,
    "alert_mask": lt.alert.category_t.peer_notification | lt.alert.category_t.connect_notification | lt.alert.category_t.error_notification,
    **{name: True for name in settings},
})
signal.signal(signal.SIGUSR1, lambda number, frame: session.apply_settings({"upload_rate_limit": 0, "download_rate_limit": 0}))
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": directory})

last = None
while True:
    for alert in session.pop_alerts():
        if isinstance(alert, lt.peer_disconnected_alert):
            print("#", alert.message(), flush=True)
    shaking = lt.peer_info.handshake | lt.peer_info.connecting
    connected = sorted("%s:%d" % peer.ip for peer in handle.get_peer_info() if not peer.flags & shaking)
    now = json.dumps({"progress": int(handle.status().progress * 100), "peers": connected})
    if now != last:
        print(now, flush=True)
        last = now
    time.sleep(0.05)
