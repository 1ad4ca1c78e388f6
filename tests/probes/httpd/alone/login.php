<?php file_put_contents("/tmp/never", "x");
