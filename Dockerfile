# maker in a container: docker build -t maker . && docker run --rm -v "$PWD":/work maker run hanoi --disks 8 --model oracle:p=0.99
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE /src/
COPY src /src/src
COPY tasks /src/tasks
RUN pip install --no-cache-dir "/src[serve,plots,parquet]" && rm -r /src && useradd --create-home --home-dir /work maker
USER maker
WORKDIR /work
ENTRYPOINT ["maker"]
CMD ["--help"]
