"""Uploads in the admin. SPDX-License-Identifier: MIT"""

from django.contrib import admin

from django_site.files.models import Upload

admin.site.register(Upload)
