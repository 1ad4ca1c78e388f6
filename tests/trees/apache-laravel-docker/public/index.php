<?php // Laravel
