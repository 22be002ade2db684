"""A file somebody sent. SPDX-License-Identifier: MIT"""

from django.db import models


class Upload(models.Model):
    title = models.CharField(max_length=100)
    file = models.FileField(upload_to="uploads")
    digest = models.CharField(max_length=64, blank=True)

    def __str__(self):
        return self.title
