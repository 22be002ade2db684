"""The project's URLs. SPDX-License-Identifier: MIT"""

from django.contrib import admin
from django.urls import path

from django_site.files import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("upload/", views.upload),
    path("list/", views.listing),
    path("stream/", views.stream),
    path("error/", views.error),
]
