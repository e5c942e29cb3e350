# Visits every link on the hosts of its seeds, with the settings that Scrapy's documentation gives for broad crawls.
from urllib.parse import urlsplit

import scrapy
from scrapy.linkextractors import LinkExtractor


class Spider(scrapy.Spider):
    name = "bench"
    custom_settings = {
        "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.DownloaderAwarePriorityQueue",
        "CONCURRENT_REQUESTS_PER_DOMAIN": 64,
        "COOKIES_ENABLED": False,
        "RETRY_ENABLED": False,
        "ROBOTSTXT_OBEY": True,
        "REACTOR_THREADPOOL_MAXSIZE": 20,
        "TELNETCONSOLE_ENABLED": False,
    }

    def __init__(self, seeds, *args, **kwargs):
        super().__init__(*args, **kwargs)
        with open(seeds) as f:
            self.start_urls = [line.strip() for line in f if line.strip() and not line.startswith("#")]
        self.allowed = {urlsplit(u).netloc for u in self.start_urls}
        self.extractor = LinkExtractor(tags=("a", "area"))

    def parse(self, response):
        for link in self.extractor.extract_links(response):
            if urlsplit(link.url).netloc in self.allowed:
                yield scrapy.Request(link.url)
