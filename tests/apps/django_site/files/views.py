"""A form with a file, a list as JSON, a streamed answer, a view with a mistake.

SPDX-License-Identifier: MIT
"""

import hashlib

from django import forms
from django.http import JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render

from django_site.files.models import Upload


class UploadForm(forms.ModelForm):
    class Meta:
        model = Upload
        fields = ("title", "file")


def upload(request):
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        digest = hashlib.sha256()
        for piece in request.FILES["file"].chunks():
            digest.update(piece)
        form.instance.digest = digest.hexdigest()
        form.save()
        return redirect("/list/")
    return render(request, "upload.html", {"form": form})


def listing(request):
    rows = Upload.objects.order_by("id").values("title", "digest", "file")
    return JsonResponse({"files": list(rows)})


def stream(request):
    return StreamingHttpResponse(f"row {i}\n" for i in range(5000))


def error(request):
    raise ValueError("a mistake of the view")
